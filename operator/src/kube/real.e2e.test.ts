// The API machinery against a real API server: what it relies on holds, and what happens to real servers does not stop it.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine } from '@floe/crds/nix-machine';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { RealApiServer } from '../../../e2e/real-apiserver/real-api-server.ts';
import type { KubeClient } from './client.ts';
import { isAlreadyExists, isConflict, isNotFound, isNotServed, isUnavailable } from './error.ts';
import { EventRecorder } from './events.ts';
import { holdLease } from './hold-lease.ts';
import { LeaderElection } from './lease.ts';
import type { KubeObject } from './object.ts';
import { Reflector } from './reflector.ts';
import { events, leases, nixMachines, type Resource, tokenReviews } from './resource.ts';
import { type Delta, Store } from './store.ts';

const PATIENCE = { timeout: 120_000, interval: 50 };
const SEEDED = 1200;
const { signal } = new AbortController();
const crds: Resource = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};
let api: RealApiServer;
let client: KubeClient;
const endings: (() => Promise<void>)[] = [];

function machine(name: string, hostName = name): NixMachine {
  return {
    apiVersion: nixMachines.apiVersion,
    kind: nixMachines.kind,
    metadata: { name, namespace: 'default', labels: { part: 'test' } },
    spec: {
      configRef: { name: 'fleet' },
      system: 'x86_64-linux',
      hostName,
      identity: { sshHostKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFQRwP8Ib2lOVqGZ0oFNzAyf9CknLQmfvpyXu9JzPjxA' },
    },
  } as NixMachine;
}

const key = (name: string) => ({ namespace: 'default', name });

/** Starts to watch all machines; ends with the test. */
async function watchMachines() {
  const store = new Store<NixMachine>();
  const deltas: Delta<NixMachine>[] = [];
  store.subscribe((delta) => deltas.push(delta));
  const reflector = new Reflector({
    client,
    resource: nixMachines,
    store,
    log: silentLog(),
    idleSeconds: 5,
    backoff: { firstSeconds: 0.05, maxSeconds: 0.5 },
  });
  const end = new AbortController();
  const run = reflector.run(end.signal);
  endings.push(async () => {
    end.abort();
    await run;
  });
  await reflector.synced;
  return { store, deltas, reflector };
}

/** Waits until the store holds what the server holds. */
async function converged(store: Store<NixMachine>): Promise<void> {
  const state = (objects: NixMachine[]) =>
    objects.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`).sort();
  await vi.waitFor(async () => {
    const listed = await client.list(nixMachines, { namespace: 'default', signal: AbortSignal.timeout(5000) });
    expect(state(store.list())).toEqual(state(listed));
  }, PATIENCE);
}

/** One of each kind of change. */
async function change(): Promise<void> {
  // A server that has only just started takes no writes to custom kinds for a moment.
  await vi.waitFor(
    () => client.mergePatch(nixMachines, key('m0'), { spec: { hostName: `h${Date.now()}` } }, { signal }),
    PATIENCE,
  );
  await client.delete(nixMachines, key('m1'), { signal });
  await client.create(nixMachines, machine('m1'), { signal });
  await client.create(nixMachines, machine(`n${Date.now()}`), { signal });
}

beforeAll(async () => {
  api = await RealApiServer.start();
  client = api.client();
  const folder = join(import.meta.dirname, '../../../crds/yaml-without-cel');
  for (const file of await readdir(folder)) {
    const crd = parse(await readFile(join(folder, file), 'utf8')) as KubeObject;
    await client.apply(crds, crd, { fieldManager: 'test', signal });
  }
  await vi.waitFor(() => client.list(nixMachines, { namespace: 'default', signal }), PATIENCE);
  for (let i = 0; i < SEEDED; i += 40) {
    const names = Array.from({ length: 40 }, (_, j) => `m${i + j}`);
    await Promise.all(names.map((name) => client.create(nixMachines, machine(name), { signal })));
  }
}, 180_000);

afterEach(async () => {
  for (const end of endings.splice(0)) {
    await end();
  }
});

afterAll(() => api.close());

describe('what Floe relies on', () => {
  test('an object that is not there is told from a kind that is not served', async () => {
    const failure = (asked: Promise<unknown>) => asked.catch((error: unknown) => error);
    const absent = await failure(client.get(nixMachines, key('nobody'), { signal }));
    expect([isNotFound(absent), isNotServed(absent)]).toEqual([true, false]);
    const unknown = { ...nixMachines, apiVersion: 'nobody.floe.dev/v1', kind: 'Nothing', plural: 'nothings' };
    for (const ask of [() => client.get(unknown, key('a'), { signal }), () => client.list(unknown, { signal })]) {
      const error = await failure(ask());
      expect([isNotFound(error), isNotServed(error), isUnavailable(error)]).toEqual([false, true, true]);
    }
  });

  test('a status patch touches the status alone, carries its version, and loses a race', async () => {
    const before = await client.get(nixMachines, key('m5'), { signal });
    const { resourceVersion = '' } = before.metadata;
    const patch = { metadata: { resourceVersion }, status: { observedGeneration: 1 }, spec: { hostName: 'other' } };
    const after = await client.mergePatch(nixMachines, key('m5'), patch, { subresource: 'status', signal });
    expect(after.status).toMatchObject({ observedGeneration: 1 });
    expect(after.spec.hostName).toBe('m5');
    expect(after.metadata.generation).toBe(before.metadata.generation);
    const again = client.mergePatch(nixMachines, key('m5'), patch, { subresource: 'status', signal });
    expect(isConflict(await again.catch((error: unknown) => error))).toBe(true);
  });

  test('server-side apply creates, changes, and removes what it no longer names', async () => {
    const configMap = (data: Record<string, string>) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'applied', namespace: 'default' },
      data,
    });
    const resource: Resource<ReturnType<typeof configMap>> = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      plural: 'configmaps',
      namespaced: true,
    };
    await client.apply(resource, configMap({ a: '1', b: '2' }), { fieldManager: 'floe', signal });
    const applied = await client.apply(resource, configMap({ a: '3' }), { fieldManager: 'floe', signal });
    expect(applied.data).toEqual({ a: '3' });
  });

  test('errors are what the client takes them for', async () => {
    const none = await client.get(nixMachines, key('none'), { signal }).catch((error: unknown) => error);
    expect(isNotFound(none)).toBe(true);
    const twice = await client.create(nixMachines, machine('m0'), { signal }).catch((error: unknown) => error);
    expect(isAlreadyExists(twice)).toBe(true);
    const other = await client
      .delete(nixMachines, key('m0'), { uid: '00000000-0000-0000-0000-000000000000', signal })
      .catch((error: unknown) => error);
    expect(isConflict(other)).toBe(true);
  });

  test('a token that nobody issued is not authenticated', async () => {
    const review = { apiVersion: tokenReviews.apiVersion, kind: tokenReviews.kind, metadata: { name: '' } };
    const answer = await client.create(tokenReviews, { ...review, spec: { token: 'x', audiences: ['a'] } }, { signal });
    expect(answer.status?.authenticated ?? false).toBe(false);
  });

  test('events are accepted, and count up', async () => {
    const recorder = new EventRecorder({ client, instance: 'test', log: silentLog() });
    const end = new AbortController();
    const run = recorder.run(end.signal);
    const regarding = await client.get(nixMachines, key('m0'), { signal });
    const count = async () => (await client.list(events, { namespace: 'default', signal })).at(0)?.series?.count ?? 1;
    recorder.event(regarding, { type: 'Normal', reason: 'Tested', message: 'it was tested' });
    await vi.waitFor(async () => {
      expect(await client.list(events, { namespace: 'default', signal })).toHaveLength(1);
    }, PATIENCE);
    recorder.event(regarding, { type: 'Normal', reason: 'Tested', message: 'it was tested' });
    await vi.waitFor(async () => expect(await count()).toBe(2), PATIENCE);
    end.abort();
    await run;
  });

  test('leases: one leads, gives back, the next one leads; a sign of life comes and goes', async () => {
    const lost: string[] = [];
    const start = (identity: string) => {
      const end = new AbortController();
      const options = { client, namespace: 'default', name: 'leader', identity, log: silentLog() };
      const election = new LeaderElection({ ...options, retrySeconds: 0.2, onLost: (reason) => lost.push(reason) });
      return { election, end, run: election.run(end.signal) };
    };
    const a = start('a');
    await a.election.leading;
    const b = start('b');
    await sleep(1000);
    const life = new AbortController();
    const living = holdLease({
      ...{ client, namespace: 'default', name: 'hub-a', identity: 'a', log: silentLog(), leaseSeconds: 1 },
      signal: life.signal,
    });
    a.end.abort();
    await a.run;
    await b.election.leading;
    expect((await client.get(leases, key('leader'), { signal })).spec).toMatchObject({ holderIdentity: 'b' });
    await vi.waitFor(() => client.get(leases, key('hub-a'), { signal }), PATIENCE);
    life.abort();
    await living;
    const gone = await client.get(leases, key('hub-a'), { signal }).catch((error: unknown) => error);
    expect(isNotFound(gone)).toBe(true);
    b.end.abort();
    await b.run;
    expect(lost).toEqual([]);
  });
});

describe('a store follows', () => {
  test('changes as they happen, and own writes before and after the watch shows them', async () => {
    const { store, deltas } = await watchMachines();
    expect(store.size).toBeGreaterThanOrEqual(SEEDED);
    expect(deltas.every(({ initial }) => initial)).toBe(true);
    const written = await client.mergePatch(nixMachines, key('m0'), { spec: { hostName: 'own' } }, { signal });
    store.put(written);
    expect(store.get('default/m0')?.spec.hostName).toBe('own');
    await change();
    await converged(store);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('a restart of the API server after %s', async (how) => {
    const { store, deltas } = await watchMachines();
    await api.stopServer(how);
    await sleep(1000);
    await api.startServer();
    deltas.length = 0;
    await change();
    await converged(store);
    // Even a new list tells only what is new.
    expect(deltas.length).toBeLessThan(10);
  });

  test('a restart after which the history is gone', async () => {
    const { store } = await watchMachines();
    await api.stopServer('SIGKILL');
    await api.compactEtcd();
    await api.startServer();
    await change();
    await converged(store);
  });

  test('a server that stands still and goes on', async () => {
    const { store } = await watchMachines();
    api.freeze();
    await sleep(8000);
    api.thaw();
    await change();
    await converged(store);
  });

  test('etcd that is away for a while', async () => {
    const { store } = await watchMachines();
    await api.stopEtcd();
    await sleep(3000);
    await api.startEtcd();
    await vi.waitFor(() => change(), PATIENCE);
    await converged(store);
  });

  test('etcd that is restored from a copy', async () => {
    await api.stopServer('SIGTERM');
    await api.stopEtcd();
    await api.saveEtcd();
    await api.startEtcd();
    await api.startServer();
    const { store } = await watchMachines();
    for (let i = 0; i < 20; i += 1) {
      await change();
    }
    await converged(store);
    await api.stopServer('SIGKILL');
    await api.stopEtcd();
    await api.restoreEtcd();
    await api.startEtcd();
    await api.startServer();
    await converged(store);
    await change();
    await converged(store);
  });
});
