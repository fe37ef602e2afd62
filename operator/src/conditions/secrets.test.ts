// Secrets in the sentence of a machine: which is not there and why, or that none has come.
import { expect, test } from 'vitest';
import { deriveConditions } from './derive.ts';
import { desired, machine, onNew, running } from './machine.fixture.ts';
import { secretsMessage } from './secrets.ts';

const named = { secrets: [{ name: 'tls', secretRef: { name: 'web', key: 'tls' } }] };
const counted = { generation: 1, total: 3, delivered: 3 };
const failed = [{ name: 'tls', message: 'there is no user nginx on the machine' }];

test.each([
  ['all there', machine(running({ secrets: counted }), named), undefined],
  ['none named', machine(running()), undefined],
  [
    'one failed',
    machine(running({ secrets: { ...counted, delivered: 2, failed } }), named),
    'secret tls: there is no user nginx on the machine',
  ],
  [
    'two failed',
    machine(running({ secrets: { ...counted, delivered: 1, failed } }), named),
    'secret tls: there is no user nginx on the machine (and 1 more)',
  ],
  [
    'none has come',
    machine(running(), named),
    'waits for its secret; an agent that is older than spec.secrets knows none',
  ],
])('%s', (_, one, says) => {
  expect(secretsMessage(one)).toBe(says);
});

test('a machine that is up to date but for a secret is not ready, and says why', () => {
  const status = running({ ...onNew, desired: desired(), secrets: { ...counted, delivered: 2, failed } });
  const ready = deriveConditions(machine(status, named), new Date(0)).find(({ type }) => type === 'Ready');
  expect([ready?.status, ready?.reason, ready?.message]).toEqual([
    'False',
    'SecretFailed',
    'secret tls: there is no user nginx on the machine',
  ]);
  const undone = running({
    ...onNew,
    desired: desired(),
    secrets: { ...counted, delivered: 2, failed },
    reboot: { required: false, reasons: [], undoes: true },
  });
  const first = deriveConditions(machine(undone, named), new Date(0)).find(({ type }) => type === 'Ready');
  expect(first?.message).toContain('secret tls');
});
