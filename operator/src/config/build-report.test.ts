import type { BuildResult } from '@floe/crds/build';
import { revisionClosures } from '@floe/crds/revision-closures';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { configMaps, controllerRevisions, jobs, nixConfigs, pods, type Resource } from '../kube/resource.ts';
import { BoundedTokenReviewer, reviewToken } from '../kube/token-review.ts';
import { admitReporter, type ReportAnswer } from './build-report.ts';
import { type BuildTask, buildRequest } from './build-task.ts';
import { CLOSURE, config, inlineSource, pod, SETTINGS } from './config.fixture.ts';
import { jobManifest, requestManifest } from './job-manifest.ts';

const records = controllerRevisions as Resource<ControllerRevision>;
const { signal } = new AbortController();
const REVISION = '0123456789ab';
const TOKEN = 't0ken';
const USER = {
  username: 'system:serviceaccount:demo:default',
  audiences: ['floe-builds'],
  extra: { 'authentication.kubernetes.io/pod-name': ['web-0123456789ab-abcde'] },
};

let api: FakeApiServer;
beforeEach(async () => {
  api = await FakeApiServer.start();
});
afterEach(() => api.close());

/** What is there when a Job has done its work. */
function scene(names = ['m1', 'm2'], attribute = 'nixosConfigurations.{machine}'): void {
  const stored = api.seed(nixConfigs, config({ attribute }));
  const machines = names.map((name) => ({ name, attribute: attribute.replace('{machine}', name) }));
  const task: BuildTask = { job: `web-${REVISION}`, revision: REVISION, source: inlineSource(), machines };
  const request = buildRequest(stored, task, { settings: SETTINGS, publicKey: 'k:A' });
  if (request.kind !== 'request') throw new Error(request.problem.message);
  api.seed(configMaps, requestManifest(stored, task, request.json));
  const job = api.seed(jobs, jobManifest(stored, task, SETTINGS));
  api.seed(pods, pod(job, {}));
  api.acceptToken(TOKEN, USER);
}

function result(change: Partial<BuildResult> = {}): BuildResult {
  return {
    namespace: 'demo',
    config: 'web',
    revision: REVISION,
    job: `web-${REVISION}`,
    locked: 'git+https://git.example/x?rev=1',
    closures: { m1: CLOSURE('m1'), m2: CLOSURE('m2') },
    failures: {},
    seconds: 4,
    bytes: 100,
    builtDerivations: 2,
    ...change,
  };
}

async function report(
  body: unknown,
  token: string | undefined = TOKEN,
  now = new Date('2026-01-01T12:00:00Z'),
): Promise<ReportAnswer> {
  const client = api.client();
  const tokens = new BoundedTokenReviewer({ review: reviewToken(client), audience: 'floe-builds', signal });
  const reporter = await admitReporter(token, { address: '10.0.0.1' }, { client, tokens, now: () => now, signal });
  return reporter.kind === 'refused' ? reporter : reporter.store(body);
}

describe('a good report', () => {
  test('is stored whole, owned by its config', async () => {
    scene();
    expect(await report(result())).toEqual({ status: 200, body: { stored: 1 } });
    const [stored] = api.list(records);
    expect(stored).toMatchObject({
      metadata: {
        labels: { 'floe.dev/config': 'web', 'floe.dev/revision': REVISION },
        ownerReferences: [{ kind: 'NixConfig', name: 'web' }],
      },
      revision: 1767268800,
      data: {
        builtAt: '2026-01-01T12:00:00Z',
        part: 0,
        parts: 1,
        machines: { m1: CLOSURE('m1') },
        summary: { closures: 2, seconds: 4 },
      },
    });
    expect(stored?.data?.attributes).toBeUndefined();
  });

  test('may come any number of times, and changes nothing then', async () => {
    scene();
    await report(result());
    const before = api.list(records);
    expect(await report(result(), TOKEN, new Date('2026-01-01T12:05:00Z'))).toEqual({
      status: 200,
      body: { stored: 1 },
    });
    expect(api.list(records)).toEqual(before);
  });

  test('of five thousand machines is stored in three parts, also when it broke off after the first', async () => {
    const names = Array.from({ length: 5000 }, (_, i) => `m${String(i).padStart(5, '0')}`);
    scene(names);
    const closures = Object.fromEntries(names.map((name) => [name, CLOSURE(name)]));
    api.faults.inject({ verb: 'POST', path: /controllerrevisions/ }, { kind: 'lose-answer' }, 1);
    expect((await report(result({ closures }))).status).toBe(503);
    expect(api.list(records)).toHaveLength(1);
    expect(revisionClosures(api.list(records)).of('m00000').kind).toBe('none');
    expect(await report(result({ closures }), TOKEN, new Date('2026-01-01T12:05:00Z'))).toEqual({
      status: 200,
      body: { stored: 3 },
    });
    const stored = api.list(records);
    expect(new Set(stored.map(({ revision }) => revision)).size).toBe(1);
    const found = revisionClosures(stored);
    expect(names.filter((name) => found.of(name).kind !== 'closure')).toEqual([]);
  });

  test('of machines that share an attribute names the closure once', async () => {
    scene(['m1', 'm2'], 'nixosConfigurations.kiosk');
    const shared = { m1: CLOSURE('kiosk'), m2: CLOSURE('kiosk') };
    expect((await report(result({ closures: shared }))).status).toBe(200);
    expect(api.list(records)[0]?.data).toMatchObject({ default: CLOSURE('kiosk'), machines: {} });
  });
});

describe('who may report', () => {
  test.each<[string, (() => void) | undefined, Partial<BuildResult>, string | undefined, number, string]>([
    ['no token', undefined, {}, '', 401, 'no token'],
    ['an unknown token', undefined, {}, 'other', 401, 'not valid'],
    [
      'another audience',
      () => api.acceptToken(TOKEN, { ...USER, audiences: ['floe-cache'] }),
      {},
      TOKEN,
      401,
      'not valid',
    ],
    ['a person', () => api.acceptToken(TOKEN, { ...USER, username: 'admin' }), {}, TOKEN, 403, 'may not report'],
    [
      'another namespace',
      () => api.acceptToken(TOKEN, { ...USER, username: 'system:serviceaccount:other:default' }),
      {},
      TOKEN,
      403,
      'may not report',
    ],
    ['another namespace in the body', undefined, { namespace: 'other' }, TOKEN, 403, 'may not report'],
    ['no pod', () => api.acceptToken(TOKEN, { ...USER, extra: {} }), {}, TOKEN, 403, 'no pod'],
    ['a pod that is gone', () => api.remove(pods, `demo/web-${REVISION}-abcde`), {}, TOKEN, 403, 'is gone'],
    [
      'another pod of that name',
      () =>
        api.acceptToken(TOKEN, { ...USER, extra: { ...USER.extra, 'authentication.kubernetes.io/pod-uid': ['x'] } }),
      {},
      TOKEN,
      403,
      'is gone',
    ],
    ['another Job', undefined, { job: 'other' }, TOKEN, 403, 'does not belong'],
    ['another revision', undefined, { revision: 'ffffffffffff' }, TOKEN, 403, 'not labelled'],
    ['another config', undefined, { config: 'db' }, TOKEN, 403, 'not labelled'],
    ['a config that is gone', () => api.remove(nixConfigs, 'demo/web'), {}, TOKEN, 403, 'is gone'],
    [
      'a request that is gone',
      () => api.remove(configMaps, `demo/web-${REVISION}`),
      {},
      TOKEN,
      409,
      'is gone or was changed',
    ],
  ])('%s', async (_, arrange, change, token, status, message) => {
    scene();
    arrange?.();
    const answer = await report(result(change), token);
    expect(JSON.stringify(answer.body)).toContain(message);
    expect(answer.status).toBe(status);
    expect(api.list(records)).toEqual([]);
  });
});

describe('what a report must hold', () => {
  test.each<[string, unknown, number, string]>([
    ['nothing', {}, 400, 'missing'],
    ['no store path', result({ closures: { m1: '/etc/passwd', m2: CLOSURE('m2') } }), 400, 'closures.m1'],
    [
      'a machine that nobody asked for',
      result({ closures: { m1: CLOSURE('m1'), m2: CLOSURE('m2'), m3: CLOSURE('m3') } }),
      400,
      'closures.m3',
    ],
    ['a machine that is missing', result({ closures: { m1: CLOSURE('m1') } }), 400, 'closures.m2'],
    ['a machine with both ends', result({ failures: { m1: { stage: 'Build', message: 'no' } } }), 400, 'failures.m1'],
    [
      'a name like a method',
      result({ closures: { m1: CLOSURE('m1'), m2: CLOSURE('m2'), constructor: CLOSURE('x') } }),
      400,
      'closures.constructor',
    ],
  ])('%s', async (_, body, status, field) => {
    scene();
    const answer = await report(body);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(field);
    expect(api.list(records)).toEqual([]);
  });

  test('another result of the same Job', async () => {
    scene();
    await report(result());
    const answer = await report(result({ closures: { m1: CLOSURE('other'), m2: CLOSURE('m2') } }));
    expect(answer).toMatchObject({ status: 409, body: { error: expect.stringContaining('another result') } });
  });

  test('an API server that is away: again later', async () => {
    scene();
    await api.stop();
    expect((await report(result())).status).toBe(503);
    await api.listen();
    expect((await report(result())).status).toBe(200);
  });
});
