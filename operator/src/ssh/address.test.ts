// With what a machine is visited, and what is said where it can't be.
import type { NixMachine } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { machine } from '../conditions/machine.fixture.ts';
import { machineKey } from '../hub/agent.fixture.ts';
import type { ReadSecretData } from '../hub/secret-store.ts';
import { type AddressPorts, addressOf } from './address.ts';
import { NoVisit } from './visit-failure.ts';

const { line } = machineKey();
const hostKey = line.split(' ')[1];
const plain = { host: 'web-01.example', secretRef: { name: 'floe-ssh' } };
const signal = new AbortController().signal;

function reached(name: string, target: NixMachine['spec']['target'] = { ssh: plain }): NixMachine {
  const made = machine(undefined, { identity: { sshHostKey: line } });
  return { ...made, metadata: { ...made.metadata, name, namespace: 'shop' }, spec: { ...made.spec, target } };
}

const secret: ReadSecretData = async () => ({ privateKey: Buffer.from('one'), other: Buffer.from('two') });
const alone = { machines: { by: () => [reached('web-01')] }, readSecret: secret };

test.each([
  ['the defaults', plain, { port: 22, user: 'root', privateKey: 'one' }],
  [
    'what the spec says',
    { ...plain, port: 2222, user: 'floe', secretRef: { name: 'floe-ssh', key: 'other' } },
    { port: 2222, user: 'floe', privateKey: 'two' },
  ],
])('%s', async (_what, ssh, expected) => {
  const address = await addressOf(reached('web-01', { ssh }), alone, signal);
  expect(address).toEqual({ host: 'web-01.example', hostKey, ...expected });
});

type Odd = Partial<AddressPorts> & { readonly target?: NixMachine['spec']['target'] };

test.each<[string, string, Odd]>([
  ['InvalidSpec', 'the machine is not reached by SSH', { target: { agent: {} } }],
  [
    'DuplicateKey',
    'its SSH host key is that of the older NixMachine web-00, which keeps it. Delete this one',
    { machines: { by: () => [reached('web-01'), reached('web-00')] } },
  ],
  [
    'NoPrivateKey',
    'Secret shop/floe-ssh may not be read: allow it to the operator',
    { readSecret: async () => 'forbidden' },
  ],
  [
    'NoPrivateKey',
    'Secret shop/floe-ssh has no privateKey: put the private key there',
    { readSecret: async () => ({}) },
  ],
  [
    'NoPrivateKey',
    'Secret shop/floe-ssh has no privateKey: put the private key there',
    { readSecret: async () => undefined },
  ],
])('%s: %s', async (reason, message, { target, ...ports }) => {
  const address = addressOf(reached('web-01', target), { ...alone, ...ports }, signal);
  await expect(address).rejects.toThrow(NoVisit);
  await expect(address).rejects.toMatchObject({ reason, message: expect.stringContaining(message) });
});
