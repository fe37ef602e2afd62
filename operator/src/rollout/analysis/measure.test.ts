// Tests of measurements: what servers and Jobs answer, what goes wrong, and what must not be asked or shown.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AnalysisStep } from '@floe/crds/analysis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Job, Secret } from '../../kube/builtin.ts';
import { KubeError } from '../../kube/error.ts';
import type { KubeObject } from '../../kube/object.ts';
import { R1, R2, rollout, T0 } from '../rollout.fixture.ts';
import { isGuarded } from './guarded-addresses.ts';
import { partOf } from './http.ts';
import { jobOf } from './job.ts';
import { type MeasurePorts, measure, textOf } from './measure.ts';
import { metricsOf } from './metric.ts';
import { valuesOf } from './prometheus.ts';
import type { MeasurementTask } from './tasks.ts';
import { filledIn, NAMED_MACHINES, sampled, type Variables } from './variables.ts';

const TOKEN = 'the-secret-token';
let server: Server;
let origin: string;
let seen: { url: string; method: string; authorization: string | undefined; body: string }[] = [];

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

type Answer = { readonly status?: number; readonly headers?: Record<string, string>; readonly text: string };

function prometheusAnswer(body: string): Answer {
  const query = new URLSearchParams(body).get('query');
  if (query === 'bad') return { status: 400, text: JSON.stringify({ status: 'error', error: 'parse error' }) };
  const result = query === 'empty' ? [] : [{ metric: {}, value: [1, '0.25'] }];
  return { text: JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }) };
}

/** By path; what is not there is never answered. */
const ANSWERS: Readonly<Record<string, (body: string, authorization: string | undefined) => Answer>> = {
  '/api/v1/query': prometheusAnswer,
  '/json': (_, echo) => ({ text: JSON.stringify({ data: { rate: 0.5, echo } }) }),
  '/text': () => ({ text: ' fine\n' }),
  '/redirect': () => ({ status: 302, headers: { location: '/json' }, text: '' }),
  '/long': () => ({ text: 'x'.repeat(2 * 1024 * 1024) }),
  '/gone': () => ({ status: 503, text: 'no' }),
};

beforeAll(async () => {
  server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { url = '', method = '', headers } = request;
      seen.push({ url, method, authorization: headers.authorization, body });
      const answer = ANSWERS[url.split('?')[0] ?? '']?.(body, headers.authorization);
      if (answer !== undefined) response.writeHead(answer.status ?? 200, answer.headers).end(answer.text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const variables: Variables = {
  revision: R2,
  stableRevision: R1,
  rollout: 'web',
  namespace: 'shop',
  machines: ['m1', 'm2.example'],
  control: [],
};

function task(step: AnalysisStep): MeasurementTask {
  const [rules] = metricsOf(step, 'step');
  if (rules === undefined) throw new Error('no metric');
  return { run: 'r', scope: 'step', index: 1, startedAt: T0, number: 0, rules, variables };
}

const notFound = (name: string) => new KubeError({ status: 404, reason: 'NotFound', message: `no ${name}` });

/** Kubernetes with these Secrets, and Jobs that end as given. */
function ports(
  more: { secrets?: Secret[]; job?: Job['status']; allowLocal?: boolean } = {},
): MeasurePorts & { jobs: Job[] } {
  const jobs: Job[] = [];
  const get = async (_: unknown, { name }: { name: string }) => {
    const object = [...(more.secrets ?? []), ...jobs].find(({ metadata }) => metadata.name === name);
    if (object === undefined) throw notFound(name);
    return object;
  };
  const create = async (_: unknown, object: KubeObject) => {
    jobs.push({ ...(object as Job), ...(more.job === undefined ? {} : { status: more.job }) });
    return jobs.at(-1);
  };
  return {
    jobs,
    client: { get, create, delete: async () => undefined } as never,
    allowLocal: more.allowLocal ?? true,
    now: () => new Date(T0),
  };
}

const secret = (name: string, data: Record<string, string>, type = 'Opaque'): Secret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  type,
  metadata: { name, namespace: 'shop' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
});

async function take(step: AnalysisStep, given = ports()) {
  seen = [];
  const { signal } = new AbortController();
  return await measure(rollout(), task(step), { ports: given, signal });
}

test('Prometheus: values are judged, machines are an expression', async () => {
  const query = 'rate{instance=~"({{machines}}):9100"} / rate{instance=~"{{control}}"} {{other}}';
  const step = { prometheus: { address: `${origin}/`, query }, successCondition: 'result < 1' };
  expect(await take(step)).toEqual({ result: 'Successful', value: '0.25', message: undefined, at: T0 });
  expect(new URLSearchParams(seen[0]?.body).get('query')).toBe(
    'rate{instance=~"(m1|m2[.]example):9100"} / rate{instance=~".^"} {{other}}',
  );
  expect(await take({ ...step, successCondition: 'result < 0.1' })).toMatchObject({ result: 'Failed', value: '0.25' });
  expect(await take({ ...step, prometheus: { address: origin, query: 'empty' } })).toMatchObject({
    result: 'Inconclusive',
    message: 'the result is empty',
  });
  expect(await take({ ...step, prometheus: { address: origin, query: 'bad' } })).toMatchObject({
    result: 'Error',
    message: 'Prometheus answered with 400: parse error',
  });
});

test('http: a part of the answer, text, and answers that are none', async () => {
  const http = (path: string, more = {}) => ({ http: { url: `${origin}${path}`, ...more } });
  expect(await take({ ...http('/json', { jsonPath: '$.data.rate' }), failureCondition: 'result > 0.1' })).toMatchObject(
    {
      result: 'Failed',
      value: '0.5',
    },
  );
  expect(await take({ ...http('/text'), successCondition: 'result == "fine"' })).toMatchObject({
    result: 'Successful',
  });
  expect(await take(http('/text', { jsonPath: 'a' }))).toMatchObject({ result: 'Error' });
  expect(await take(http('/gone'))).toMatchObject({ result: 'Error', message: 'the server answered with 503' });
  expect(await take(http('/redirect'))).toMatchObject({ result: 'Error', message: 'the server answered with 302' });
  expect(await take(http('/long'))).toMatchObject({ result: 'Error', message: expect.stringContaining('1 MiB') });
  expect(await take({ ...http('/silent'), timeout: '1s' })).toMatchObject({
    result: 'Error',
    message: 'no answer within 1 s',
  });
  await take(http('/json?of={{machines}}', { method: 'POST', body: '{"of": "{{machines}}"}' }));
  expect(seen[0]).toMatchObject({ url: '/json?of=m1%2Cm2.example', method: 'POST', body: '{"of": "m1,m2.example"}' });
});

test('credentials come from the Secret, and are shown nowhere', async () => {
  const http = { url: `${origin}/json`, jsonPath: 'data.echo', secretRef: { name: 'creds' } };
  const given = ports({ secrets: [secret('creds', { token: TOKEN })] });
  const taken = await take({ http, failureCondition: `result == "Bearer ${TOKEN}"` }, given);
  expect(seen[0]?.authorization).toBe(`Bearer ${TOKEN}`);
  expect(JSON.stringify(taken)).not.toContain(TOKEN);
  expect(taken).toMatchObject({ value: 'Bearer ***' });
  await take({ http }, ports({ secrets: [secret('creds', { username: 'me', password: 'word' })] }));
  expect(seen[0]?.authorization).toBe(`Basic ${Buffer.from('me:word').toString('base64')}`);
  expect(await take({ http })).toMatchObject({
    result: 'Error',
    message: expect.stringContaining('there is no Secret creds'),
  });
});

test.each([
  ['creds', 'kubernetes.io/service-account-token'],
  ['floe-signing-key', 'Opaque'],
])('the Secret %s of type %s is sent to nobody', async (name, type) => {
  const http = { url: `${origin}/json`, secretRef: { name } };
  const taken = await take({ http }, ports({ secrets: [secret(name, { token: TOKEN }, type)] }));
  expect(taken).toMatchObject({ result: 'Error', message: expect.stringContaining('may not be sent') });
  expect(seen).toEqual([]);
});

test.each([
  'http://127.0.0.1:1',
  'http://localhost:1',
  'http://[::1]:1',
  'http://2130706433:1',
  'http://169.254.169.254',
  'http://0:1',
])('%s is not asked', async (url) => {
  const taken = await take({ http: { url } }, ports({ allowLocal: false }));
  expect(taken).toMatchObject({ result: 'Error', message: expect.stringContaining('--analysis-allow-local') });
});

test.each([
  ['127.1.2.3', true],
  ['::ffff:127.0.0.1', true],
  ['fe80::1', true],
  ['fd00:ec2::254', true],
  ['168.63.129.16', true],
  ['192.0.0.192', true],
  ['fd20:ce::254', true],
  ['64:ff9b::a9fe:a9fe', true],
  ['2002:7f00:1::', true],
  ['10.0.0.1', false],
  ['fd00::1', false],
  ['93.184.216.34', false],
])('guarded: %s %s', (address, expected) => {
  expect(isGuarded(address)).toBe(expected);
});

const jobStep: AnalysisStep = {
  job: {
    spec: { template: { spec: { containers: [{ name: 'check', image: 'x', env: [{ name: 'A', value: '1' }] }] } } },
  },
};

test.each<[string, NonNullable<Job['status']>, string, string | undefined]>([
  ['complete', { conditions: [{ type: 'Complete', status: 'True' }] }, 'Successful', undefined],
  [
    'failed',
    { conditions: [{ type: 'Failed', status: 'True', message: 'backoff limit' }] },
    'Failed',
    'the Job failed: backoff limit',
  ],
  ['too long', { conditions: [{ type: 'Failed', status: 'True', reason: 'DeadlineExceeded' }] }, 'Error', undefined],
])('job: %s', async (_, status, result, message) => {
  const taken = await take(jobStep, ports({ job: status }));
  expect(taken).toMatchObject({ result, ...(message === undefined ? {} : { message }) });
});

test('job: owned, bounded in time, without a token, with the variables', () => {
  const { job } = jobStep;
  if (job === undefined) return;
  const made = jobOf(rollout(), job, task({ ...jobStep, timeout: '90s' }));
  expect(made).toEqual(jobOf(rollout(), job, task({ ...jobStep, timeout: '90s' })));
  expect(made.metadata.name).toMatch(/^web-analysis-[0-9a-f]{12}$/);
  expect(made.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Rollout', name: 'web', uid: 'u-web' });
  expect(made.spec).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 90 });
  const pod = made.spec.template.spec;
  expect(pod).toMatchObject({ restartPolicy: 'Never', automountServiceAccountToken: false });
  expect(pod.containers[0]?.env).toContainEqual({ name: 'FLOE_MACHINES', value: 'm1,m2.example' });
  expect(pod.containers[0]?.env).toContainEqual({ name: 'A', value: '1' });
});

test('job: one that is there already is waited for, unless it is of somebody else', async () => {
  const own = jobOf(rollout(), jobStep.job as never, task(jobStep));
  const done = { conditions: [{ type: 'Complete', status: 'True' as const }] };
  const there = (job: Job): MeasurePorts => ({
    ...ports(),
    client: {
      get: async () => job,
      create: async () => {
        throw new KubeError({ status: 409, reason: 'AlreadyExists', message: 'x' });
      },
      delete: async () => undefined,
    } as never,
  });
  expect(await take(jobStep, there({ ...own, status: done }) as never)).toMatchObject({ result: 'Successful' });
  const { ownerReferences: _, ...metadata } = own.metadata;
  expect(await take(jobStep, there({ ...own, metadata, status: done }) as never)).toMatchObject({ result: 'Error' });
});

test('what Prometheus answers', () => {
  const answer = (data: object) => JSON.stringify({ status: 'success', data });
  expect(valuesOf(answer({ resultType: 'scalar', result: [1, '3'] }), 200)).toEqual([3]);
  const values = ['NaN', '+Inf', '-Inf', '1e3'].map((value) => ({ metric: {}, value: [1, value] }));
  expect(valuesOf(answer({ resultType: 'vector', result: values }), 200)).toEqual([NaN, Infinity, -Infinity, 1000]);
  expect(() => valuesOf(answer({ resultType: 'matrix', result: [] }), 200)).toThrow('make it an instant vector');
  expect(() => valuesOf('<html>', 404)).toThrow('is prometheus.address right?');
  expect(() => valuesOf('null', 200)).toThrow('Prometheus answered with 200');
});

test('parts of JSON, and values as text', () => {
  expect(partOf('{"a":[{"b":1}]}', '$.a[0].b')).toBe(1);
  expect(partOf('{"a":[{"b":1}]}', 'a[1].b')).toBeUndefined();
  expect(partOf('{}', '$.constructor.name')).toBeUndefined();
  expect(partOf('[1,2]', '$[1]')).toBe(2);
  expect(['x', 0.123456789, [1, 2], [0.5], { a: 1 }, null, undefined].map(textOf)).toEqual([
    'x',
    '0.123457',
    '[1, 2]',
    '0.5',
    '{"a":1}',
    'null',
    'nothing',
  ]);
});

test('a fleet of 10,000 is named by a sample, the same one whatever the order', () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `m${i}`);
  const sample = sampled(names, 'run');
  expect(sample).toHaveLength(NAMED_MACHINES);
  expect(sampled(names.toReversed(), 'run')).toEqual(sample);
  expect(sampled(names, 'other')).not.toEqual(sample);
});

test('no value breaks out of where it stands', () => {
  const strange = { ...variables, rollout: 'a"} or vector(1) #', machines: ['m1"} or up #'] };
  expect(filledIn('x{r="{{rollout}}"}', strange, 'promql')).toBe('x{r="aorvector1"}');
  expect(filledIn('x{i=~"{{machines}}"}', strange, 'promql')).not.toMatch(/i=~"[^"]*"\}? or/);
  expect(filledIn('http://x/{{rollout}}', strange, 'url')).toBe(`http://x/${encodeURIComponent(strange.rollout)}`);
});
