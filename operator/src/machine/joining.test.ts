// What a machine says while its key waits for a person, and when it no longer does.
import { APPROVE_KEY, keyFingerprint } from '@floe/crds/join-token';
import type { NixMachine, PendingKey } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { keyOfMachine, keyToApprove } from '../conditions/identity.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { planMachine } from './plan.ts';

const BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIL5VKh4T1WqdkYG8MOsR/ylwCRJT4SMuUPm4kfb+643E';
const pendingKey: PendingKey = {
  fingerprint: keyFingerprint(BLOB),
  publicKey: `ssh-ed25519 ${BLOB}`,
  since: '2026-03-01T09:00:00Z',
  token: 'ab12',
};
const asking = (annotation?: string, spec: Partial<NixMachine['spec']> = {}): NixMachine => {
  const one = machine({ pendingKey }, spec);
  const annotations = annotation === undefined ? {} : { annotations: { [APPROVE_KEY]: annotation } };
  return { ...one, metadata: { ...one.metadata, ...annotations } };
};

test.each<[string, NixMachine, string | undefined]>([
  ['nobody has looked yet', asking(), 'PendingApproval'],
  ['another key was approved', asking('SHA256:other'), 'PendingApproval'],
  ['it was approved by annotation', asking(pendingKey.fingerprint), undefined],
  ['it was approved in the spec', asking(undefined, { identity: { sshHostKey: pendingKey.publicKey } }), undefined],
  ['nobody ever asked', machine(), 'NoIdentity'],
])('%s', (_name, one, reason) => {
  const { write } = planMachine(
    {
      machine: one,
      config: undefined,
      closure: { kind: 'none' },
      isSelected: true,
      keyKeeper: undefined,
      replicaGoneIn: undefined,
    },
    new Date('2026-03-01T10:00:00Z'),
  );
  const waiting = write?.next.status?.waiting;
  expect(waiting?.reason === 'NoConfig' ? undefined : waiting?.reason).toBe(reason);
  expect(keyToApprove(one) !== undefined).toBe(reason === 'PendingApproval');
  expect(keyOfMachine(one) !== undefined).toBe(reason === undefined);
  if (reason !== 'PendingApproval') return;
  // The column STATUS names the key and what to do.
  const ready = write?.next.status?.conditions?.find(({ type }) => type === 'Ready');
  expect(ready).toMatchObject({ status: 'False', reason: 'PendingApproval' });
  expect(ready?.message).toContain(`${pendingKey.fingerprint}: compare it`);
  expect(ready?.message).toContain('run kubectl floe approve machine/web-01 -n shop');
});
