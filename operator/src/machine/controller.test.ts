import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import { desired, machine, onNew, running } from '../conditions/machine.fixture.ts';
import { Reflector } from '../kube/reflector.ts';
import { leases, nixConfigs, nixMachines, rollouts } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { startMachineController } from './controller.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5VKh4T1WqdkYG8MOsR/ylwCRJT4SMuUPm4kfb+643E web-01';
let api: FakeApiServer;
let end: AbortController;
let running_: Promise<unknown>;
let uptime = 0;
const event = vi.fn();

/** Seeds, then starts the controller over watched stores. */
async function start(seed: () => void): Promise<void> {
  seed();
  const client = api.client();
  const stores = {
    nixMachines: new Store<NixMachine>({ indexes: machineIndexes }),
    nixConfigs: new Store<NonNullable<typeof nixConfigs.objects>>(),
    rollouts: new Store<Rollout>({
      indexes: { config: ({ metadata, spec }) => [`${metadata.namespace}/${spec.configRef.name}`] },
    }),
    controllerRevisions: new Store({ indexes: recordIndexes }),
    leases: new Store<NonNullable<typeof leases.objects>>(),
  };
  const log = silentLog();
  const reflectors = [
    new Reflector({ client, resource: nixMachines, store: stores.nixMachines, log }),
    new Reflector({ client, resource: nixConfigs, store: stores.nixConfigs, log }),
    new Reflector({ client, resource: rollouts, store: stores.rollouts, log }),
    new Reflector({ client, resource: leases, store: stores.leases, log }),
  ] as const;
  const watching = reflectors.map((one) => one.run(end.signal));
  await Promise.all(reflectors.map((one) => one.synced));
  const controller = startMachineController({
    client,
    stores,
    log,
    events: { event },
    signal: end.signal,
    uptime: () => uptime,
    lookSeconds: 0.02,
  });
  running_ = Promise.all([...watching, controller]);
}

beforeEach(async () => {
  api = await FakeApiServer.start();
  end = new AbortController();
  uptime = 0;
  event.mockClear();
});
afterEach(async () => {
  end.abort();
  await running_;
  await api.close();
});

const config = () =>
  api.seed(nixConfigs, {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixConfig',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { source: { flake: 'x' } },
    status: { revision: { id: '3f9c2ab41c07', source: 's', builtAt: 't' } },
  });
const rollout = (labels?: Record<string, string>) =>
  api.seed(rollouts, {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { configRef: { name: 'web' }, ...(labels === undefined ? {} : { selector: { matchLabels: labels } }) },
  });
const named = (name: string, over: Partial<NixMachine['spec']> = {}, status?: NixMachine['status'], labels = {}) => {
  const made = machine(status, { identity: { sshHostKey: KEY }, ...over });
  const { resourceVersion: _, uid: __, generation: ___, ...metadata } = made.metadata;
  return api.seed(nixMachines, { ...made, metadata: { ...metadata, name, labels } });
};
const status = (name = 'web-01') => api.get(nixMachines, `shop/${name}`)?.status;
const waits = (reason: string | undefined, name = 'web-01') =>
  vi.waitFor(() => expect(status(name)?.waiting?.reason).toBe(reason), { timeout: 5000 });
const writes = () => api.seen({ verb: 'PATCH', path: '/status' }).length;

test('a spec that changes is observed, with one write', async () => {
  await start(() => {
    config();
    rollout();
    named('web-01');
  });
  await vi.waitFor(() => expect(status()?.observedGeneration).toBe(1));
  named('web-01', { hostName: 'www' });
  await vi.waitFor(() => expect(status()?.observedGeneration).toBe(2));
  expect(writes()).toBe(2);
});

test('a Rollout that appears, changes and goes', async () => {
  await start(() => {
    config();
    named('web-01', {}, undefined, { role: 'web' });
  });
  await waits('NoRollout');
  rollout({ role: 'db' });
  rollout({ role: 'web' });
  await waits(undefined);
  api.remove(rollouts, 'shop/web');
  await waits('NoRollout');
});

test('a key that two machines have: the older keeps it, the newer hears of it until it gives it up', async () => {
  await start(() => {
    config();
    rollout();
    named('web-01');
    named('web-02');
  });
  await waits('DuplicateKey', 'web-02');
  expect(api.get(nixMachines, 'shop/web-02')?.status?.waiting?.message).toContain('web-01, which keeps it');
  expect(status()?.waiting).toBeUndefined();
  await vi.waitFor(() =>
    expect(new Set(event.mock.calls.map(([regarding]) => regarding.metadata.name))).toEqual(new Set(['web-02'])),
  );
  api.remove(nixMachines, 'shop/web-01');
  await waits(undefined, 'web-02');
});

test('what hub and rollout write costs nothing here; a lost race is tried again', async () => {
  await start(() => {
    config();
    rollout();
    named('web-01', {}, running({ desired: desired() }));
  });
  await vi.waitFor(() => expect(status()?.observedGeneration).toBe(1));
  const before = writes();
  named('web-01', {}, running({ desired: desired(), ...onNew }));
  api.faults.inject({ verb: 'PATCH', path: '/status' }, { kind: 'status', status: 409, reason: 'Conflict' }, 1);
  named('web-01', { hostName: 'www' });
  await vi.waitFor(() => expect(status()?.observedGeneration).toBe(2));
  expect(writes() - before).toBe(2);
});

test('machines of a replica that died are offline once it is sure; those of others are not', async () => {
  const lease = (name: string, renewTime: string) =>
    api.seed(leases, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: `floe-hub-${name}`, namespace: 'floe-system' },
      spec: { holderIdentity: name, leaseDurationSeconds: 30, renewTime },
    });
  const at = (replica: string) => running({ connection: { online: true, since: 's', replica } });
  const other = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g web-02';
  await start(() => {
    config();
    rollout();
    lease('dead', 't0');
    lease('alive', 't0');
    named('web-01', {}, at('dead'));
    named('web-02', { identity: { sshHostKey: other } }, at('alive'));
  });
  await vi.waitFor(() => expect(status('web-02')?.observedGeneration).toBe(1));
  uptime = 100;
  lease('alive', 't100');
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(status('web-01')?.connection?.online).toBe(true);
  uptime = 121;
  await vi.waitFor(() => expect(status('web-01')?.connection?.online).toBe(false));
  expect(status('web-01')?.conditions?.find((c) => c.type === 'Online')?.status).toBe('False');
  expect(status('web-02')?.connection?.online).toBe(true);
  uptime = 4000;
  lease('alive', 't4000');
  await vi.waitFor(() => expect(api.get(leases, 'floe-system/floe-hub-dead')).toBeUndefined());
  expect(api.get(leases, 'floe-system/floe-hub-alive')).toBeDefined();
});
