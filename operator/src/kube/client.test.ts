// Tests of the client: verbs, errors, limits, and that it keeps its connections.
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { NOT_SERVED } from '../../../e2e/fake-apiserver/faults.ts';
import type { ConfigMap, Job } from './builtin.ts';
import { isAlreadyExists, isConflict, isGone, isNotFound, isUnavailable, KubeError } from './error.ts';
import { createKubeMetrics } from './metrics.ts';
import { configMaps, jobs, pods, tokenReviews } from './resource.ts';

const { signal } = new AbortController();
const KEY = { namespace: 'n', name: 'a' };
let api: FakeApiServer;

beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(() => api.close());

function map(name: string, data: Record<string, string> = {}): ConfigMap {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n' }, data };
}

function job(name: string): Job {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, namespace: 'n' },
    spec: { template: { spec: { containers: [] } } },
  };
}

async function failure(promise: Promise<unknown>): Promise<KubeError> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(KubeError);
  return error as KubeError;
}

describe('verbs', () => {
  test('create, get, delete', async () => {
    const client = api.client();
    const made = await client.create(configMaps, map('a', { x: '1' }), { signal });
    expect(await client.get(configMaps, KEY, { signal })).toEqual(made);
    expect(isAlreadyExists(await failure(client.create(configMaps, map('a'), { signal })))).toBe(true);
    await client.delete(configMaps, KEY, { signal, uid: made.metadata.uid });
    expect(isNotFound(await failure(client.get(configMaps, KEY, { signal })))).toBe(true);
  });

  test('delete only what it was meant for', async () => {
    const client = api.client();
    api.seed(configMaps, map('a'));
    expect(isConflict(await failure(client.delete(configMaps, KEY, { signal, uid: 'other' })))).toBe(true);
    expect(isConflict(await failure(client.delete(configMaps, KEY, { signal, resourceVersion: '1' })))).toBe(true);
    expect(api.get(configMaps, 'n/a')).toBeDefined();
  });

  test('a merge patch of the status leaves the spec alone, and loses against a newer write', async () => {
    const client = api.client();
    const { resourceVersion } = api.seed(jobs, job('a')).metadata;
    const patch = {
      metadata: { resourceVersion: resourceVersion ?? '' },
      status: { active: 1 },
      spec: { completions: 7 },
    };
    const patched = await client.mergePatch(jobs, KEY, patch, { subresource: 'status', signal });
    expect(patched.status).toEqual({ active: 1 });
    expect(patched.spec.completions).toBeUndefined();
    expect(isConflict(await failure(client.mergePatch(jobs, KEY, patch, { subresource: 'status', signal })))).toBe(
      true,
    );
    const removed = await client.mergePatch(jobs, KEY, { status: { active: null } }, { subresource: 'status', signal });
    expect(removed.status).toEqual({});
  });

  test('apply creates and changes', async () => {
    const client = api.client();
    await client.apply(configMaps, map('a', { x: '1' }), { fieldManager: 'test', force: true, signal });
    const applied = await client.apply(configMaps, map('a', { x: '2' }), { fieldManager: 'test', signal });
    expect(applied.data).toEqual({ x: '2' });
    expect(api.seen({ verb: 'PATCH' })[0]).toMatchObject({
      contentType: 'application/apply-patch+yaml',
      query: { fieldManager: 'test', force: 'true' },
    });
  });

  test('lists come in pages, and say what their items are', async () => {
    for (let i = 0; i < 7; i += 1) {
      api.seed(configMaps, map(`m${i}`));
    }
    const sizes: number[] = [];
    for await (const page of api.client().listPages(configMaps, { namespace: 'n', limit: 3, signal })) {
      sizes.push(page.items.length);
      expect(page.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap' });
    }
    expect(sizes).toEqual([3, 3, 1]);
    expect(await api.client().list(configMaps, { namespace: 'other', signal })).toEqual([]);
  });

  test('a token is checked', async () => {
    api.acceptToken('good', { username: 'system:serviceaccount:n:build', audiences: ['builds'] });
    const review = (token: string, audience: string) =>
      api.client().create(
        tokenReviews,
        {
          apiVersion: tokenReviews.apiVersion,
          kind: tokenReviews.kind,
          metadata: { name: '' },
          spec: { token, audiences: [audience] },
        },
        { signal },
      );
    expect((await review('good', 'builds')).status).toMatchObject({ authenticated: true });
    expect((await review('good', 'cache')).status).toMatchObject({ authenticated: false });
    expect((await review('bad', 'builds')).status).toMatchObject({ authenticated: false });
  });

  test('a namespaced object without a namespace is refused before anything is sent', async () => {
    await expect(api.client().get(configMaps, { name: 'a' }, { signal })).rejects.toThrow('namespace');
    expect(api.requests).toEqual([]);
  });
});

describe('errors', () => {
  test('say what the server said, and when to come back', async () => {
    api.faults.inject(
      {},
      { kind: 'status', status: 429, reason: 'TooManyRequests', message: 'wait', retryAfterSeconds: 7 },
    );
    const error = await failure(api.client().get(configMaps, KEY, { signal }));
    expect(error).toMatchObject({ status: 429, reason: 'TooManyRequests', retryAfterSeconds: 7 });
    expect(error.message).toBe('GET /api/v1/namespaces/n/configmaps/a: 429: wait');
  });

  test('410 is gone', async () => {
    api.faults.inject({}, { kind: 'status', status: 410, reason: 'Expired' });
    expect(isGone(await failure(api.client().get(configMaps, KEY, { signal })))).toBe(true);
  });

  test.each<[string, () => void | Promise<void>, string]>([
    ['a reset', () => api.faults.inject({}, { kind: 'reset' }), 'Unreachable'],
    ['no server', () => api.stop(), 'Unreachable'],
    ['silence', () => api.faults.inject({}, { kind: 'silence' }), 'Timeout'],
    ['no JSON', () => api.faults.inject({}, { kind: 'text', text: '<html>' }), 'BadAnswer'],
    ['no object', () => api.faults.inject({}, { kind: 'text', text: 'null' }), 'BadAnswer'],
  ])('%s', async (_, harm, reason) => {
    const client = api.client({ timeoutSeconds: 0.1 });
    await harm();
    expect(await failure(client.get(configMaps, KEY, { signal }))).toMatchObject({ status: 0, reason });
  });

  test('a caller that gives up', async () => {
    api.faults.inject({}, { kind: 'silence' });
    const end = new AbortController();
    const get = failure(api.client().get(configMaps, KEY, { signal: end.signal }));
    await vi.waitFor(() => expect(api.requests).toHaveLength(1));
    end.abort();
    expect(await get).toMatchObject({ reason: 'Aborted' });
    const before = AbortSignal.abort();
    expect(await failure(api.client().get(configMaps, KEY, { signal: before }))).toMatchObject({ reason: 'Aborted' });
  });
});

describe('connections', () => {
  test('are kept', async () => {
    const client = api.client();
    api.seed(configMaps, map('a'));
    for (let i = 0; i < 30; i += 1) {
      await client.get(configMaps, KEY, { signal });
    }
    // Two, since an answer may be read before its connection is free again.
    expect(api.connections).toBeLessThanOrEqual(2);
  });

  test('are bounded, and watches take none of those for requests', async () => {
    const client = api.client();
    api.seed(configMaps, map('a'));
    const end = new AbortController();
    const watches = Array.from({ length: 60 }, async () => {
      for await (const _ of client.watch(configMaps, { resourceVersion: '1000', signal: end.signal })) {
        // Until it is given up.
      }
    });
    const ended = Promise.allSettled(watches);
    await vi.waitFor(() => expect(api.watches.count()).toBe(60), { timeout: 10_000 });
    await Promise.all(Array.from({ length: 300 }, () => client.get(configMaps, KEY, { signal })));
    expect(api.connections).toBeLessThanOrEqual(60 + 48);
    end.abort();
    await ended;
    await vi.waitFor(() => expect(api.watches.count()).toBe(0), { timeout: 10_000 });
  });
});

describe('streams', () => {
  test('a watch gives the changes in order, and its connection back when it is left', async () => {
    const client = api.client();
    const { resourceVersion = '' } = api.seed(configMaps, map('a')).metadata;
    api.seed(configMaps, map('b'));
    api.remove(configMaps, 'n/a');
    const seen: string[] = [];
    for await (const event of client.watch(configMaps, { resourceVersion, signal })) {
      seen.push(`${event.type} ${event.object.metadata.name}`);
      if (event.type === 'DELETED') {
        api.watches.bookmark();
      }
      if (event.type === 'BOOKMARK') {
        break;
      }
    }
    expect(seen).toEqual(['ADDED b', 'DELETED a', 'BOOKMARK ']);
    await vi.waitFor(() => expect(api.watches.count()).toBe(0));
  });

  test('a selector turns changes into comings and goings', async () => {
    const labelled = (x: string): ConfigMap => ({
      ...map('a'),
      metadata: { name: 'a', namespace: 'n', labels: { x } },
    });
    const { resourceVersion = '' } = api.seed(configMaps, labelled('1')).metadata;
    api.seed(configMaps, labelled('2'));
    api.seed(configMaps, labelled('1'));
    const seen: string[] = [];
    for await (const { type } of api
      .client()
      .watch(configMaps, { resourceVersion, labelSelector: 'x in (2)', signal })) {
      seen.push(type);
      if (seen.length === 2) {
        break;
      }
    }
    expect(seen).toEqual(['ADDED', 'DELETED']);
  });

  test('logs are followed until the container ends', async () => {
    api.seed(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'n' },
      spec: { containers: [] },
    });
    api.logs.append('n/p', 'build', 'one\ntw');
    const lines: string[] = [];
    for await (const line of api
      .client()
      .logs({ namespace: 'n', name: 'p' }, { container: 'build', follow: true, signal })) {
      lines.push(line);
      if (line === 'one') {
        api.logs.append('n/p', 'build', 'o\nthree');
        api.logs.end('n/p', 'build');
      }
    }
    expect(lines).toEqual(['one', 'two', 'three']);
  });

  test('the logs of no pod', async () => {
    const read = async () => {
      for await (const _ of api.client().logs({ namespace: 'n', name: 'p' }, { container: 'build', signal })) {
        // None.
      }
    };
    expect(isNotFound(await failure(read()))).toBe(true);
  });
});

test('a kind that the server does not serve yet says nothing of its objects', async () => {
  api.faults.inject({}, NOT_SERVED);
  const early = await failure(api.client().get(configMaps, KEY, { signal }));
  expect(early).toMatchObject({
    status: 404,
    reason: 'NotServed',
    message: expect.stringContaining('404 page not found'),
  });
  expect([isNotFound(early), isUnavailable(early)]).toEqual([false, true]);
  const later = await failure(api.client().get(configMaps, KEY, { signal }));
  expect([isNotFound(later), isUnavailable(later)]).toEqual([true, false]);
});

test('metrics count requests by answer, none included', async () => {
  const registry = new Registry();
  const client = api.client({ metrics: createKubeMetrics(registry) });
  await failure(client.get(configMaps, KEY, { signal }));
  await api.stop();
  await failure(client.get(configMaps, KEY, { signal }));
  const text = await registry.metrics();
  expect(text).toContain('rest_client_requests_total{code="404",method="GET"} 1');
  expect(text).toContain('rest_client_requests_total{code="<error>",method="GET"} 1');
  expect(text).toContain('rest_client_request_duration_seconds_count{verb="GET"} 2');
});
