// Approving the key of a machine, retrying it, putting it on hold: what is written, and what is refused.
import type { NixMachineSpec, NixMachineStatus } from '@floe/crds/nix-machine';
import { nixMachines } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeApiServer } from '../../e2e/fake-apiserver/fake-api-server.ts';
import { InputError } from './input-error.ts';
import { holdCommand } from './machine-verbs.ts';
import { verbCommand } from './verb-command.ts';

let api: FakeApiServer;
beforeAll(async () => {
  api = await FakeApiServer.start();
});
afterAll(() => api.close());

const NOW = new Date('2026-03-01T12:00:00Z');
const PENDING = { fingerprint: 'SHA256:abc', publicKey: 'ssh-ed25519 AAAA', since: '2026-03-01T11:00:00Z' };
const ports = {
  connect: async () => Object.assign(api.client(), { close: async () => undefined }),
  now: () => NOW,
  signal: new AbortController().signal,
  userOf: async () => 'ann',
};

function machine(name: string, status: NixMachineStatus, spec: Partial<NixMachineSpec> = {}): void {
  const head = { apiVersion: 'floe.dev/v1alpha1', kind: 'NixMachine' };
  const metadata = { name, namespace: 'shop' };
  api.seed(nixMachines, { ...head, metadata, spec: { configRef: { name: 'web' }, ...spec }, status });
}

const specOf = (name: string) => api.get(nixMachines, `shop/${name}`)?.spec;

test('approve writes the key that waits into the spec', async () => {
  machine('m1', { pendingKey: PENDING });
  expect(await verbCommand('approve', ['machine/m1', '-n', 'shop'], ports)).toBe(
    'machine m1: approved SHA256:abc, which asked first at 2026-03-01T11:00:00Z',
  );
  expect(specOf('m1')).toMatchObject({ identity: { sshHostKey: 'ssh-ed25519 AAAA' } });
});

test('retry is for machines that no Rollout moves', async () => {
  const desired = { id: 'a', sequence: 1, revision: 'r', closure: 'c', go: true, since: NOW.toISOString() };
  machine('m2', { desired: { ...desired, reason: 'Immediate' } });
  machine('m3', { desired: { ...desired, reason: 'Rollout', rollout: 'web' } });
  await verbCommand('retry', ['nm/m2', '-n', 'shop'], ports);
  expect(api.get(nixMachines, 'shop/m2')?.metadata.annotations).toEqual({ 'floe.dev/retry': NOW.toISOString() });
  await expect(verbCommand('retry', ['nm/m3', '-n', 'shop'], ports)).rejects.toMatchObject({
    remedy: 'kubectl floe retry web -n shop orders the machines that failed again',
  });
});

test('hold and unhold', async () => {
  machine('m4', {});
  expect(await holdCommand(true, ['m4', '-n', 'shop', '--reason', 'new disk', '--for', '90m'], ports)).toBe(
    'machine m4: on hold until 2026-03-01T13:30:00Z: new disk',
  );
  expect(specOf('m4')?.hold).toEqual({ reason: 'new disk', until: '2026-03-01T13:30:00Z' });
  await holdCommand(true, ['machine/m4', '-n', 'shop', '--reason=for good'], ports);
  expect(specOf('m4')?.hold).toEqual({ reason: 'for good' });
  expect(await holdCommand(false, ['m4', '-n', 'shop'], ports)).toBe(
    'machine m4: the hold has ended; its reason was: for good',
  );
  expect(await holdCommand(false, ['m4', '-n', 'shop'], ports)).toBe('machine m4: was not on hold');
  expect(specOf('m4')).toEqual({ configRef: { name: 'web' } });
});

test.each<[string, () => Promise<string>, string]>([
  ['no key waits', () => verbCommand('approve', ['machine/m4', '-n', 'shop'], ports), 'NAME'],
  ['no such machine', () => verbCommand('approve', ['machine/m9', '-n', 'shop'], ports), 'NAME'],
  ['hold of nobody', () => holdCommand(true, ['m9', '-n', 'shop', '--reason', 'x'], ports), 'NAME'],
  ['hold without a reason', () => holdCommand(true, ['m4', '-n', 'shop'], ports), '--reason'],
  ['hold for a while', () => holdCommand(true, ['m4', '--reason', 'x', '--for', 'a while'], ports), '--for'],
  ['unhold with a reason', () => holdCommand(false, ['m4', '--reason', 'x'], ports), '--reason'],
])('wrong input: %s', async (_, run, field) => {
  const failure = await run().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as InputError).field).toBe(field);
});
