// Tests of the reflector: whatever goes wrong between it and the API server, the store ends up right.
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ApiStatus } from '../../../e2e/fake-apiserver/api-status.ts';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { NOT_SERVED } from '../../../e2e/fake-apiserver/faults.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import type { ConfigMap } from './builtin.ts';
import { createKubeMetrics } from './metrics.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { configMaps } from './resource.ts';
import { type Delta, Store } from './store.ts';

const PATIENCE = { timeout: 20_000, interval: 5 };
const endings: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of endings.splice(0)) {
    await end();
  }
});

function map(name: string, data = ''): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n' }, data: { data } };
}

async function setUp(options: Partial<ReflectorOptions<ConfigMap>> = {}, seed: ConfigMap[] = [map('a'), map('b')]) {
  const api = await FakeApiServer.start();
  for (const object of seed) {
    api.seed(configMaps, object);
  }
  const store = new Store<ConfigMap>();
  const reflector = new Reflector({
    client: api.client(),
    resource: configMaps,
    store,
    log: silentLog(),
    backoff: { firstSeconds: 0.005, maxSeconds: 0.02 },
    ...options,
  });
  const end = new AbortController();
  const run = reflector.run(end.signal);
  endings.push(async () => {
    end.abort();
    await run;
    await api.close();
  });
  return { api, store, reflector, end, run };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

function contents(objects: ConfigMap[]): string[] {
  return objects
    .map(({ metadata, data }) => `${metadata.name} ${metadata.resourceVersion} ${JSON.stringify(data)}`)
    .sort();
}

async function converged({ api, store }: SetUp): Promise<void> {
  await vi.waitFor(() => expect(contents(store.list())).toEqual(contents(api.list(configMaps))), PATIENCE);
}

async function watching({ api }: SetUp): Promise<void> {
  await vi.waitFor(() => expect(api.watches.count()).toBe(1), PATIENCE);
}

/** One of each kind of change. */
function change(api: FakeApiServer): void {
  api.seed(configMaps, map('a', String(Math.random())));
  api.remove(configMaps, 'n/b');
  api.seed(configMaps, map('b', 'anew'));
  api.seed(configMaps, map('c'));
  api.remove(configMaps, 'n/c');
  api.seed(configMaps, map(`d${Math.random()}`));
}

const WATCH = { verb: 'WATCH' };
const LIST = { verb: 'LIST' };

describe('survives', () => {
  test.each<[string, (api: FakeApiServer) => void | Promise<void>, Partial<ReflectorOptions<ConfigMap>>?]>([
    ['a reset of the watch', (api) => api.watches.reset()],
    ['the end of the watch', (api) => api.watches.end()],
    [
      '410 when it watches on',
      (api) => {
        api.watches.reset();
        change(api);
        api.compact();
      },
    ],
    [
      '410 within the watch',
      (api) => {
        api.watches.silence();
        change(api);
        api.compact();
        api.watches.fail(new ApiStatus(410, 'Expired', 'too old resource version'));
      },
    ],
    ['an ERROR event of another kind', (api) => api.watches.fail(new ApiStatus(500, 'InternalError', 'etcd is away'))],
    [
      '429 with Retry-After',
      (api) => {
        api.faults.inject(WATCH, { kind: 'status', status: 429, retryAfterSeconds: 1 });
        api.watches.reset();
      },
    ],
    [
      '500 when it watches on, ten times',
      (api) => {
        api.faults.inject(WATCH, { kind: 'status', status: 500 }, 10);
        api.watches.reset();
      },
    ],
    [
      'a version that the server does not know yet',
      (api) => {
        api.faults.inject(WATCH, { kind: 'status', status: 504, message: 'Too large resource version' });
        api.watches.reset();
      },
    ],
    [
      'connections that are reset while it watches on',
      (api) => {
        api.faults.inject(WATCH, { kind: 'reset' }, 3);
        api.watches.reset();
      },
    ],
    [
      'a restart of the API server',
      async (api) => {
        await api.stop();
        change(api);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await api.listen();
      },
    ],
    [
      'a restart of the API server that forgets its history',
      async (api) => {
        await api.stop();
        change(api);
        api.compact();
        await api.listen();
      },
    ],
    [
      '500 when it lists anew',
      (api) => {
        api.faults.inject(LIST, { kind: 'status', status: 500 }, 5);
        api.compact();
        api.watches.fail(new ApiStatus(410, 'Expired', ''));
      },
    ],
    [
      'a continue token that expires in the middle of a list',
      (api) => {
        api.compact();
        api.watches.fail(new ApiStatus(410, 'Expired', ''));
        api.faults.inject({ verb: 'LIST' }, { kind: 'status', status: 410, reason: 'Expired' });
      },
      { pageSize: 1 },
    ],
    ['a connection that falls silent', (api) => api.watches.silence(), { idleSeconds: 0.1 }],
    [
      'a watch whose answer never comes',
      (api) => {
        api.faults.inject(WATCH, { kind: 'silence' });
        api.watches.reset();
      },
      { idleSeconds: 0.1 },
    ],
    ['a line that is not JSON', (api) => api.watches.send('{"type":"ADD\n')],
    ['a line that is no event', (api) => api.watches.send('{"hello":"world"}\n')],
    [
      'an answer that is not JSON',
      (api) => {
        api.faults.inject(LIST, { kind: 'text', text: '<html>' }, 2);
        api.compact();
        api.watches.fail(new ApiStatus(410, 'Expired', ''));
      },
    ],
    [
      'watches that end at once',
      (api) => {
        api.faults.inject(WATCH, { kind: 'text', text: '' }, 5);
        api.watches.end();
      },
    ],
    [
      'a kind that is not there for a while',
      (api) => {
        api.faults.inject(WATCH, NOT_SERVED);
        api.faults.inject(LIST, NOT_SERVED, 3);
        api.watches.reset();
      },
    ],
    [
      'credentials that are refused for a while',
      (api) => {
        api.faults.inject(WATCH, { kind: 'status', status: 401 }, 2);
        api.faults.inject(WATCH, { kind: 'status', status: 403 }, 2);
        api.watches.reset();
      },
    ],
  ])('%s', async (_, harm, options) => {
    const all = await setUp(options);
    await all.reflector.synced;
    await watching(all);
    await harm(all.api);
    change(all.api);
    await converged(all);
    // And it still follows after that.
    await watching(all);
    change(all.api);
    await converged(all);
  });

  test.each<[string, Parameters<FakeApiServer['faults']['inject']>[1]]>([
    ['500', { kind: 'status', status: 500 }],
    ['403', { kind: 'status', status: 403 }],
    ['a reset', { kind: 'reset' }],
    ['nonsense', { kind: 'text', text: 'null' }],
  ])('%s at the very first list', async (_, fault) => {
    const api = await FakeApiServer.start();
    api.seed(configMaps, map('a'));
    api.faults.inject(LIST, fault, 3);
    const store = new Store<ConfigMap>();
    const reflector = new Reflector({
      client: api.client(),
      resource: configMaps,
      store,
      log: silentLog(),
      backoff: { firstSeconds: 0.005, maxSeconds: 0.02 },
    });
    const end = new AbortController();
    const run = reflector.run(end.signal);
    await reflector.synced;
    expect(store.size).toBe(1);
    end.abort();
    await run;
    await api.close();
  });

  test('any sequence of faults and changes', { timeout: 60_000 }, async () => {
    const act = fc.constantFrom<(api: FakeApiServer) => void>(
      change,
      change,
      (api) => api.watches.reset(),
      (api) => api.watches.end(),
      (api) => api.compact(),
      (api) => api.watches.bookmark(),
      (api) => api.watches.silence(),
      (api) => api.watches.fail(new ApiStatus(410, 'Expired', '')),
      (api) => api.faults.inject(WATCH, { kind: 'status', status: 500 }),
      (api) => api.faults.inject(LIST, { kind: 'status', status: 500 }),
      (api) => api.faults.inject({}, { kind: 'reset' }),
    );
    const step = fc.record({ act, turns: fc.nat({ max: 10 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const all = await setUp({ idleSeconds: 0.1, pageSize: 1 });
        for (const { act, turns } of steps) {
          act(all.api);
          for (let i = 0; i < turns; i += 1) {
            await new Promise((resolve) => setImmediate(resolve));
          }
        }
        await converged(all);
        await endings.pop()?.();
      }),
      { numRuns: 25 },
    );
  });
});

test('lists in pages, from the newest state, and watches with bookmarks from there', async () => {
  const seed = Array.from({ length: 12 }, (_, i) => map(`m${i}`));
  const all = await setUp({ pageSize: 5, labelSelector: '!skip', namespace: 'n' }, seed);
  await all.reflector.synced;
  await watching(all);
  const lists = all.api.seen(LIST);
  expect(lists.map(({ query }) => query['limit'])).toEqual(['5', '5', '5']);
  expect(lists.every(({ query }) => query['resourceVersion'] === undefined)).toBe(true);
  expect(all.store.size).toBe(12);
  const [watch] = all.api.seen(WATCH);
  expect(watch?.path).toBe('/api/v1/namespaces/n/configmaps');
  expect(watch?.query).toMatchObject({ allowWatchBookmarks: 'true', labelSelector: '!skip' });
  expect(Number(watch?.query['timeoutSeconds'])).toBeGreaterThanOrEqual(300);
  expect(Number(watch?.query['timeoutSeconds'])).toBeLessThanOrEqual(600);
});

test('goes on from the last bookmark, without a list', async () => {
  const all = await setUp();
  await all.reflector.synced;
  await watching(all);
  const secrets = { ...configMaps, plural: 'secrets' };
  const other = all.api.seed(secrets, map('other'));
  all.api.watches.bookmark();
  await vi.waitFor(() => expect(all.reflector.version).toBe(other.metadata.resourceVersion), PATIENCE);
  all.api.watches.reset();
  await vi.waitFor(() => expect(all.api.seen(WATCH)).toHaveLength(2), PATIENCE);
  expect(all.api.seen(WATCH)[1]?.query['resourceVersion']).toBe(other.metadata.resourceVersion);
  expect(all.api.seen(LIST).filter(({ query }) => query['limit'] !== '1')).toHaveLength(1);
});

test('notices that the server went back in time', async () => {
  const all = await setUp();
  await all.reflector.synced;
  await watching(all);
  const copy = all.api.copy();
  change(all.api);
  await converged(all);
  await all.api.stop();
  all.api.restore(copy);
  await all.api.listen();
  await converged(all);
  // Versions that were used before stand for other objects now.
  await watching(all);
  change(all.api);
  await converged(all);
});

test('tells changes from lists, and what a relist finds deleted', async () => {
  const all = await setUp();
  const deltas: string[] = [];
  all.store.subscribe(({ type, key, initial }: Delta<ConfigMap>) => {
    deltas.push(`${type} ${key}${initial ? ' list' : ''}`);
  });
  await all.reflector.synced;
  await watching(all);
  all.api.seed(configMaps, map('c'));
  await converged(all);
  await all.api.stop();
  all.api.remove(configMaps, 'n/a');
  all.api.compact();
  await all.api.listen();
  await converged(all);
  expect(deltas).toEqual(['added n/a list', 'added n/b list', 'added n/c', 'deleted n/a list']);
});

test('an object that was written during a relist is not taken for deleted', async () => {
  const all = await setUp();
  await all.reflector.synced;
  await watching(all);
  // The answer to an own write, newer than any list so far.
  all.store.put({ ...map('own'), metadata: { name: 'own', namespace: 'n', resourceVersion: '999999' } });
  all.api.compact();
  all.api.watches.fail(new ApiStatus(410, 'Expired', ''));
  await vi.waitFor(() => expect(all.api.seen(LIST).length).toBeGreaterThan(1), PATIENCE);
  await watching(all);
  expect(all.store.get('n/own')).toBeDefined();
});

test('reduces objects before they are stored', async () => {
  const all = await setUp({ transform: ({ data: _, ...rest }) => rest });
  await all.reflector.synced;
  expect(all.store.get('n/a')?.data).toBeUndefined();
  expect(all.store.get('n/a')?.metadata).not.toHaveProperty('managedFields');
});

describe('what backs off', () => {
  const never = { firstSeconds: 1000, maxSeconds: 1000, random: () => 1 };
  const opened = (api: FakeApiServer) => api.seen(WATCH).length;

  test('a watch that was silent is opened again at once, however often it is', async () => {
    const metrics = createKubeMetrics(new Registry());
    const all = await setUp({ idleSeconds: 0.3, backoff: never, metrics });
    await all.reflector.synced;
    await vi.waitFor(() => expect(opened(all.api)).toBeGreaterThan(5), PATIENCE);
    change(all.api);
    await converged(all);
    expect((await metrics.reflectorErrors.get()).values).toEqual([]);
  });

  test('a watch that breaks after it had stood for longer than the longest delay counts from the first failure', async () => {
    // Every one of these breaks would double the delay, up to 10 s.
    const all = await setUp({ backoff: { firstSeconds: 0.04, maxSeconds: 0.04, random: () => 1 } });
    const failures: number[] = [];
    await all.reflector.synced;
    for (let i = 0; i < 4; i += 1) {
      await watching(all);
      await new Promise((resolve) => setTimeout(resolve, 60));
      all.api.watches.reset();
      await vi.waitFor(() => expect(opened(all.api)).toBe(i + 2), PATIENCE);
      failures.push(all.reflector.failures);
    }
    expect(failures).toEqual([1, 1, 1, 1]);
  });

  test.each<[string, Parameters<FakeApiServer['faults']['inject']>[1]]>([
    ['a watch whose answer does not come', { kind: 'silence' }],
    ['a watch that is refused', { kind: 'status', status: 500 }],
    ['a watch whose connection is reset before it has begun', { kind: 'reset' }],
    ['a watch that ends at once, without news', { kind: 'text', text: '' }],
  ])('%s', async (_, fault) => {
    const all = await setUp({ idleSeconds: 0.03, backoff: never });
    all.api.faults.inject(WATCH, fault, 1000);
    await all.reflector.synced;
    await vi.waitFor(() => expect(all.reflector.failures).toBe(1), PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(opened(all.api)).toBe(1);
  });

  test('any sequence of silences, breaks and refusals: only what was no silence counts', {
    timeout: 60_000,
  }, async () => {
    type Step = 'silence' | 'refusal' | 'reset';
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom<Step>('silence', 'refusal', 'reset'), { maxLength: 5 }),
        async (steps) => {
          const metrics = createKubeMetrics(new Registry());
          const all = await setUp({ idleSeconds: 0.15, metrics, backoff: { firstSeconds: 0.001, maxSeconds: 1000 } });
          let failures = 0;
          await all.reflector.synced;
          for (const step of steps) {
            const before = opened(all.api);
            if (step !== 'silence') {
              failures += 1;
              all.api.faults.inject(WATCH, step === 'reset' ? { kind: 'reset' } : { kind: 'status', status: 500 });
            }
            await vi.waitFor(() => expect(opened(all.api)).toBeGreaterThan(before + 1), PATIENCE);
          }
          const counted = (await metrics.reflectorErrors.get()).values.reduce((sum, { value }) => sum + value, 0);
          expect(counted).toBe(failures);
          await endings.pop()?.();
        },
      ),
      { numRuns: 15 },
    );
  });
});

test('ends at once when it is told to, also in the middle of a wait', async () => {
  const all = await setUp({ backoff: { firstSeconds: 1000, maxSeconds: 1000, random: () => 1 } });
  await all.reflector.synced;
  await all.api.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  all.end.abort();
  await all.run;
});
