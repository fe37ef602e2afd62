// A cache that is full: nothing half-built counts as built, a person reads why, and after room is made it goes on.
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, SYSTEM } from '../src/installation.ts';
import { freshMarker } from '../src/scene.ts';
import { Tenant } from '../src/tenant.ts';
import { upgrade } from '../src/upgrade.ts';

/** User of the image. */
const UID = 65532;
const NAME = 'small-cache';
const URL_OF_CACHE = `http://${NAME}.${SYSTEM}.svc:8080/{namespace}`;

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'cache-full');
  await startCache('1Mi');
  await upgrade(floe, {
    operator: { extraArgs: [`--cache-url=${URL_OF_CACHE}?compression=zstd`, `--cache-substituter=${URL_OF_CACHE}`] },
  });
});

afterAll(async () => {
  await upgrade(floe, { operator: { extraArgs: [] } });
  await floe.cluster.kubectl(['-n', SYSTEM, 'delete', 'deployment,service', NAME, '--ignore-not-found']);
  await tenant.remove();
});

/** A second cache beside the one that all share, with its folder on the node, so that it keeps it from pod to pod. */
async function startCache(maxSize: string): Promise<void> {
  const { cluster } = floe;
  const folder = join(cluster.dir, NAME);
  await mkdir(folder, { recursive: true });
  await chown(folder, UID, UID);
  const path = 'jsonpath={.spec.template.spec.containers[0].image}';
  const image = await cluster.kubectl(['-n', SYSTEM, 'get', 'deployment', 'floe-operator', '-o', path]);
  const labels = { app: NAME };
  const container = {
    name: 'cache',
    image,
    args: ['cache', '--directory=/cache', `--max-size=${maxSize}`],
    ports: [{ containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/readyz', port: 9090 }, periodSeconds: 1, timeoutSeconds: 5 },
    volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
  };
  const pod = {
    serviceAccountName: 'floe-cache',
    // Else the Service of the shared cache would set FLOE_CACHE_PORT.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 2,
    containers: [container],
    volumes: [{ name: 'cache', hostPath: { path: folder } }],
  };
  const items = [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: NAME, namespace: SYSTEM },
      spec: {
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: pod },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: NAME, namespace: SYSTEM },
      spec: { selector: labels, ports: [{ port: 8080 }] },
    },
  ];
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await cluster.kubectl(['apply', '-f', '-'], { input });
  const status = ['-n', SYSTEM, 'rollout', 'status', `deployment/${NAME}`, '--timeout=90s'];
  await cluster.kubectl(status, { timeoutSeconds: 120 });
}

/** A commit with a small and, where asked, a large closure. */
async function publish(payloadMiB: number): Promise<string> {
  const common = `{ test.marker = "${freshMarker()}"; }`;
  const machines = { small: '{ }', large: `{ test.payloadMiB = ${payloadMiB}; }` };
  return (await tenant.publish('payload', { machines, common })).commit;
}

let good = '';
/** Commit whose closures the small cache had no room for. */
let large = '';

test('what fits is built', async () => {
  const commit = await publish(0);
  const source = { git: { url: 'http://10.250.0.1:8418/payload.git' } };
  await tenant.apply(tenant.config('payload', { source }), ...tenant.machines('payload', ['small', 'large']));
  const { config } = await tenant.untilBuilt('payload', commit);
  good = config.status?.revision?.id ?? '';
  expect(config.status?.cache?.url).toBe(URL_OF_CACHE.replace('{namespace}', 'cache-full'));
});

test('the cache is full: the condition says which cache, why and what to do, and the revision before stays', async () => {
  large = await publish(3);
  const { config, ready } = await tenant.untilReason('payload', 'PushFailed', { timeoutSeconds: 180 });
  expect(ready.message).toContain(`the cache ${URL_OF_CACHE.replace('{namespace}', 'cache-full')} is full`);
  expect(ready.message).toMatch(/1 MiB|1\.0 MiB/);
  expect(ready.message).toContain('make room there, then reconcile again');
  expect(ready.message).toContain('tried again at');
  expect(ready.message).not.toMatch(/<html|\n/);
  expect(config.status?.build).toMatchObject({ phase: 'Failed', source: `main@${large.slice(0, 7)}` });
  // Not even the small one, whose paths are there: a revision is built as a whole.
  expect(config.status?.revision?.id).toBe(good);
  expect((await tenant.records('payload')).map(({ revision }) => revision)).toEqual([good]);
});

test('after room is made an order to reconcile builds it, unless it was just tried again anyway', async () => {
  await startCache('64Mi');
  await tenant.kubectl('annotate', 'nixconfig', 'payload', '--overwrite', 'floe.dev/reconcile=there-is-room');
  const { config } = await tenant.until(
    'payload',
    'the order to be handled, and the large closure built',
    ({ config: seen, ready }) =>
      seen.status?.lastHandled?.['reconcile'] === 'there-is-room' &&
      ready.reason === 'Built' &&
      seen.status.revision?.source?.endsWith(large.slice(0, 7)) === true,
    { timeoutSeconds: 180 },
  );
  expect(config.status?.machines).toMatchObject({ total: 2, built: 2, failed: 0 });
  expect(config.status?.build?.failure).toBeUndefined();
  expect((await tenant.records('payload')).at(-1)?.summary.bytes).toBeGreaterThan(3 * 2 ** 20);
  await rm(join(floe.cluster.dir, NAME), { recursive: true, force: true });
});
