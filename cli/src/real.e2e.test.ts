// The commands against a real API server: what they write is accepted, and what they show is what is there.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import { kstatusOf } from '@floe/operator/conditions/kstatus.fixture';
import type { KubeClient } from '@floe/operator/kube/client';
import type { KubeObject } from '@floe/operator/kube/object';
import { nixConfigs, nixMachines, type Resource, rollouts } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { RealApiServer } from '../../e2e/real-apiserver/real-api-server.ts';
import { holdCommand } from './machine-verbs.ts';
import { getCommand } from './show/get-command.ts';
import { machineCommand } from './show/machine-command.ts';
import { verbCommand } from './verb-command.ts';

const { signal } = new AbortController();
const crds: Resource = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
const PENDING = {
  fingerprint: 'SHA256:abc',
  publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQRwP8Ib2lOVqGZ0oFNzAyf9CknLQmfvpyXu9JzPjxA',
  since: '2026-03-01T11:00:00Z',
};

describe.runIf(RealApiServer.isAvailable)('against a real API server', () => {
  let api: RealApiServer;
  let client: KubeClient;
  const ports = {
    connect: async () => Object.assign(api.client(), { close: async () => undefined }),
    now: () => new Date(),
    signal,
    userOf: async () => 'ann',
  };
  const machine = (name: string) => client.get(nixMachines, { namespace: 'default', name }, { signal });
  const rollout = () => client.get(rollouts, { namespace: 'default', name: 'web' }, { signal });

  beforeAll(async () => {
    api = await RealApiServer.start();
    client = api.client();
    const folder = join(import.meta.dirname, '../../crds/yaml-without-cel');
    for (const file of await readdir(folder)) {
      await client.create(crds, parse(await readFile(join(folder, file), 'utf8')) as KubeObject, { signal });
    }
    const kinds: readonly Resource[] = [nixMachines, nixConfigs, rollouts] as readonly Resource[];
    const served = () => Promise.all(kinds.map((kind) => client.list(kind, { namespace: 'default', signal })));
    await vi.waitFor(served, { timeout: 60_000, interval: 100 });
    const head = (kind: string, name: string) => ({
      apiVersion: 'floe.dev/v1alpha1',
      kind,
      metadata: { name, namespace: 'default' },
    });
    await client.create(
      nixConfigs,
      { ...head('NixConfig', 'web'), spec: { source: { flake: 'github:acme/fleet' } } },
      { signal },
    );
    await client.create(rollouts, { ...head('Rollout', 'web'), spec: { configRef: { name: 'web' } } }, { signal });
    await client.create(nixMachines, { ...head('NixMachine', 'm1'), spec: { configRef: { name: 'web' } } }, { signal });
    const status: NixMachineStatus = { pendingKey: PENDING };
    const patch: object = { status };
    await client.mergePatch(nixMachines, { namespace: 'default', name: 'm1' }, patch, {
      signal,
      subresource: 'status',
    });
  }, 120_000);
  afterAll(() => api.close());

  test('what nobody has looked at yet is in progress to those that wait by kstatus', async () => {
    const config = await client.get(nixConfigs, { namespace: 'default', name: 'web' }, { signal });
    expect([config, await machine('m1'), await rollout()].map(kstatusOf)).toEqual(Array(3).fill('InProgress'));
  });

  test('verbs say who gave them', async () => {
    await verbCommand('urgent', ['web'], ports);
    const { annotations } = (await rollout()).metadata;
    const value = annotations?.['floe.dev/urgent'];
    // The user of a new API server, the one of the kubeconfig for an old one.
    expect(annotations?.['floe.dev/by']).toMatch(new RegExp(`^urgent ${value} (admin|ann)$`));
  });

  test('a key is approved, a machine is put on hold, and that ends', async () => {
    await verbCommand('approve', ['machine/m1'], ports);
    expect((await machine('m1')).spec.identity?.sshHostKey).toBe(PENDING.publicKey);
    await holdCommand(true, ['m1', '--reason', 'new disk', '--for', '1h'], ports);
    expect((await machine('m1')).spec.hold?.until).toMatch(/^\d{4}-.*Z$/);
    await holdCommand(true, ['m1', '--reason', 'for good'], ports);
    expect((await machine('m1')).spec.hold).toEqual({ reason: 'for good' });
    await holdCommand(false, ['m1'], ports);
    expect((await machine('m1')).spec.hold).toBeUndefined();
  });

  test('a rollout and a machine are shown', async () => {
    let text = '';
    const write = (part: string): void => {
      text += part;
    };
    expect(await getCommand(['rollout', 'web'], { ...ports, write, columns: undefined, everyMs: 10 })).toBe(0);
    expect(text).toBe('Rollout web   no revision yet   Idle\nnothing has begun\n');
    expect(await machineCommand(['m1'], ports)).toContain(
      'has not moved: NotBuilt, waiting for NixConfig web to be built',
    );
  });
});
