// The whole reconciler against an API server in memory: from a manifest to a built revision, and what goes wrong between.
import { LABEL_REVISION, SIGNING_KEY_SECRET } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import { publicKeyOf } from '@floe/crds/nix-key';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import type { Job } from '../kube/builtin.ts';
import type { Happening } from '../kube/events.ts';
import { Reflector } from '../kube/reflector.ts';
import {
  configMaps,
  controllerRevisions,
  jobs,
  nixConfigs,
  nixMachines,
  pods,
  type Resource,
  rollouts,
  secrets,
} from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { BoundedTokenReviewer, reviewToken } from '../kube/token-review.ts';
import type { RunProgram } from '../nix/process.ts';
import { admitReporter } from './build-report.ts';
import { CLOSURE, config, machine, pod, SETTINGS } from './config.fixture.ts';
import { startConfigController } from './controller.ts';
import { type ConfigStores, jobIndexes, podIndexes, rolloutIndexes } from './stores.ts';

const records = controllerRevisions as Resource<ControllerRevision>;
const REV_1 = '91ffe02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
const REV_2 = '5b1c9d8aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';

let api: FakeApiServer;
let stop: AbortController;
let running: Promise<unknown>;
let told: Happening[];
let head: string;
let looks: number;

const run: RunProgram = async () => {
  looks += 1;
  return { code: 0, endedBy: null, timedOut: false, stdout: `${head}\trefs/heads/main\n`, stderr: '' };
};

beforeEach(async () => {
  api = await FakeApiServer.start();
  stop = new AbortController();
  told = [];
  head = REV_1;
  looks = 0;
  running = start();
});

afterEach(async () => {
  stop.abort();
  await running;
  await api.close();
});

async function start(): Promise<void> {
  const { signal } = stop;
  const client = api.client();
  const log = silentLog();
  const stores: ConfigStores = {
    nixConfigs: new Store(),
    nixMachines: new Store({ indexes: machineIndexes }),
    rollouts: new Store({ indexes: rolloutIndexes }),
    controllerRevisions: new Store({ indexes: recordIndexes }),
    jobs: new Store({ indexes: jobIndexes }),
    pods: new Store({ indexes: podIndexes }),
  };
  const reflectors = [
    new Reflector({ client, log, resource: nixConfigs, store: stores.nixConfigs }),
    new Reflector({ client, log, resource: nixMachines, store: stores.nixMachines }),
    new Reflector({ client, log, resource: rollouts, store: stores.rollouts }),
    new Reflector({ client, log, resource: records, store: stores.controllerRevisions }),
    new Reflector({ client, log, resource: jobs, store: stores.jobs }),
    new Reflector({ client, log, resource: pods, store: stores.pods }),
  ];
  const watching = reflectors.map((reflector) => reflector.run(signal));
  await Promise.all(reflectors.map(({ synced }) => synced));
  const events = { event: (_: unknown, happening: Happening) => void told.push(happening) };
  const controller = startConfigController({
    client,
    stores,
    settings: SETTINGS,
    registry: new Registry(),
    events,
    log,
    signal,
    run,
    // Nothing that the test makes is so new that the reconciler waits for more of it.
    now: () => new Date(Date.now() + 5000),
  });
  await Promise.all([controller, ...watching]);
}

const until = { timeout: 10_000, interval: 10 };

function seedConfig(spec: Partial<NixConfig['spec']> = {}): void {
  const { metadata, ...rest } = config(spec);
  api.seed(nixConfigs, {
    ...rest,
    metadata: { name: metadata.name, namespace: 'demo', creationTimestamp: '2020-01-01T00:00:00Z' },
  });
}

function seedMachine(name: string): void {
  api.seed(nixMachines, machine(name, { createdAt: '2020-01-01T00:00:00Z' }));
}

const git = { source: { git: { url: 'https://git.example/fleet', ref: { branch: 'main' } } } };
const current = () => api.get(nixConfigs, 'demo/web');
const ready = () => current()?.status?.conditions?.find(({ type }) => type === 'Ready');

async function nextJob(but: readonly string[] = []): Promise<Job> {
  return vi.waitFor(() => {
    const found = api.list(jobs).find(({ metadata }) => !but.includes(metadata.name));
    if (found === undefined) throw new Error(`no Job yet: ${JSON.stringify(current()?.status)}`);
    return found;
  }, until);
}

/** What kubelet, the Job controller and the container `push` would do. */
async function finish(
  job: Job,
  closures: Record<string, string>,
  failures: Record<string, string> = {},
): Promise<number> {
  const runs = api.seed(pods, { ...pod(job, { phase: 'Running', containerStatuses: [] }) });
  const user = {
    username: 'system:serviceaccount:demo:default',
    audiences: ['floe-builds'],
    extra: {
      'authentication.kubernetes.io/pod-name': [runs.metadata.name],
      'authentication.kubernetes.io/pod-uid': [runs.metadata.uid ?? ''],
    },
  };
  api.acceptToken('t0ken', user);
  const result = {
    namespace: 'demo',
    config: 'web',
    revision: job.metadata.labels?.[LABEL_REVISION],
    job: job.metadata.name,
    locked: 'git+https://git.example/fleet?rev=91ffe02',
    closures,
    failures: Object.fromEntries(
      Object.entries(failures).map(([name, message]) => [name, { stage: 'Evaluation', message }]),
    ),
    seconds: 41,
    bytes: 222_298_112,
    builtDerivations: 3,
  };
  const { signal } = stop;
  const client = api.client();
  const tokens = new BoundedTokenReviewer({ review: reviewToken(client), audience: 'floe-builds', signal });
  const ports = { client, tokens, now: () => new Date(), signal };
  const reporter = await admitReporter('t0ken', { address: '10.0.0.1' }, ports);
  const answer = reporter.kind === 'refused' ? reporter : await reporter.store(result);
  api.seed(jobs, {
    ...job,
    status: { completionTime: new Date().toISOString(), conditions: [{ type: 'Complete', status: 'True' }] },
  });
  return answer.status;
}

test('a manifest becomes a built revision; nothing new builds nothing; something new builds once', async () => {
  seedMachine('m1');
  seedMachine('m2');
  seedConfig(git);
  const first = await nextJob();
  expect(ready()?.status).toBe('False');
  const request = JSON.parse(api.get(configMaps, `demo/${first.metadata.name}`)?.data?.['request.json'] ?? '{}');
  expect(request.machines).toEqual([
    { name: 'm1', attribute: 'nixosConfigurations.m1' },
    { name: 'm2', attribute: 'nixosConfigurations.m2' },
  ]);
  expect(request.source.ref).toBe(`git+https://git.example/fleet?ref=refs/heads/main&rev=${REV_1}&shallow=1`);
  const key = api.get(secrets, `demo/${SIGNING_KEY_SECRET}`);
  const secret = Buffer.from(key?.data?.['secret'] ?? '', 'base64').toString();
  expect(publicKeyOf(secret)).toBe(request.cache.publicKey);

  expect(await finish(first, { m1: CLOSURE('m1'), m2: CLOSURE('m2') })).toBe(200);
  await vi.waitFor(() => expect(ready()?.status).toBe('True'), until);
  await vi.waitFor(() => expect(api.list(jobs)).toEqual([]), until);
  expect(ready()?.message).toBe('built in 41 s, 2 closures, 212 MiB');
  const status = current()?.status;
  expect(status).toMatchObject({
    revision: { source: 'main@91ffe02', id: first.metadata.labels?.[LABEL_REVISION] },
    machines: { total: 2, built: 2, failed: 0, ready: '2/2' },
    cache: { url: 'http://cache/demo' },
    build: { phase: 'Built' },
  });
  expect(api.get(configMaps, `demo/${first.metadata.name}`)).toBeUndefined();
  await vi.waitFor(
    () => expect(told.map(({ reason }) => reason)).toEqual(['SourceChanged', 'BuildStarted', 'Built']),
    until,
  );

  // The same commit again: a look, no Job, no write but that of the order.
  const before = looks;
  api.requests.length = 0;
  const patched = current();
  api.seed(nixConfigs, {
    ...patched,
    metadata: { ...patched?.metadata, annotations: { 'floe.dev/reconcile': 'now' } },
  } as NixConfig);
  await vi.waitFor(() => expect(current()?.status?.lastHandled).toEqual({ reconcile: 'now' }), until);
  expect(looks).toBe(before + 1);
  expect(api.requests.filter(({ verb }) => verb === 'PATCH' || verb === 'POST')).toHaveLength(1);
  expect(current()?.status?.revision).toEqual(status?.revision);

  // A machine that joins is built alone.
  seedMachine('m3');
  const joined = await nextJob([first.metadata.name]);
  const more = JSON.parse(api.get(configMaps, `demo/${joined.metadata.name}`)?.data?.['request.json'] ?? '{}');
  expect(more.machines).toEqual([{ name: 'm3', attribute: 'nixosConfigurations.m3' }]);
  expect(await finish(joined, { m3: CLOSURE('m3') })).toBe(200);
  await vi.waitFor(() => expect(current()?.status?.machines?.ready).toBe('3/3'), until);
  expect(current()?.status?.revision?.id).toBe(status?.revision?.id);

  // A new commit.
  head = REV_2;
  const again = current();
  api.seed(nixConfigs, {
    ...again,
    metadata: { ...again?.metadata, annotations: { 'floe.dev/reconcile': 'later' } },
  } as NixConfig);
  const second = await nextJob([first.metadata.name, joined.metadata.name]);
  expect(current()?.status?.revision?.source).toBe('main@91ffe02');
  const closures = { m1: CLOSURE('n1'), m2: CLOSURE('n2') };
  expect(await finish(second, closures, { m3: "The option `services.nginx.enabel' does not exist" })).toBe(200);
  await vi.waitFor(() => expect(ready()?.reason).toBe('EvaluationFailed'), until);
  expect(ready()?.message).toBe("m3: The option `services.nginx.enabel' does not exist");
  expect(current()?.status?.revision?.source).toBe('main@5b1c9d8');
  expect(current()?.status?.history?.map(({ source }) => source)).toEqual(['main@5b1c9d8', 'main@91ffe02']);
});

test('progress from the log reaches the status, and a failed Job says what to do before it goes', async () => {
  seedMachine('m1');
  seedConfig();
  const job = await nextJob();
  const runs = api.seed(
    pods,
    pod(job, {
      phase: 'Pending',
      initContainerStatuses: [{ name: 'build', ready: false, restartCount: 0, state: { running: {} } }],
    }),
  );
  api.logs.append(
    `demo/${runs.metadata.name}`,
    'build',
    'copying path …\n{"floe":"progress","phase":"Building","built":2,"total":5}\n',
  );
  await vi.waitFor(() => expect(ready()?.message).toContain('built 2 of 5 derivations'), until);
  expect(current()?.status?.build).toMatchObject({ phase: 'Building', built: 2, total: 5 });

  const message = JSON.stringify({
    error: 'the lock file is not complete',
    field: 'spec.source',
    remedy: 'run nix flake lock',
  });
  api.seed(pods, {
    ...runs,
    status: {
      initContainerStatuses: [
        { name: 'build', ready: false, restartCount: 0, state: { terminated: { exitCode: 1, message } } },
      ],
    },
  });
  api.seed(jobs, {
    ...job,
    status: {
      conditions: [
        {
          type: 'Failed',
          status: 'True',
          reason: 'BackoffLimitExceeded',
          lastTransitionTime: new Date().toISOString(),
        },
      ],
    },
  });
  await vi.waitFor(() => expect(ready()?.reason).toBe('BuildFailed'), until);
  expect(ready()?.message).toContain('spec.source: the lock file is not complete; run nix flake lock');
  await vi.waitFor(() => expect(api.list(jobs)).toEqual([]), until);
  expect(current()?.status?.build).toMatchObject({ phase: 'Failed', attempts: 1 });
  expect(current()?.status?.conditions?.find(({ type }) => type === 'Stalled')?.status).toBe('True');
});

test('a newer revision ends the build of the older one', async () => {
  seedMachine('m1');
  seedConfig();
  const first = await nextJob();
  seedConfig({ source: { inline: { files: { 'flake.nix': '{ }' } } } });
  const second = await nextJob([first.metadata.name]);
  await vi.waitFor(
    () => expect(api.list(jobs).map(({ metadata }) => metadata.name)).toEqual([second.metadata.name]),
    until,
  );
  await vi.waitFor(() => expect(told.map(({ reason }) => reason)).toContain('BuildSuperseded'), until);
});

test('what was done with Jobs is told once, also where the write that follows is lost', async () => {
  seedMachine('m1');
  seedConfig();
  const first = await nextJob();
  api.faults.inject({ verb: 'PATCH', path: /\/nixconfigs\/[^/]+\/status/ }, { kind: 'status', status: 503 }, 4);
  seedConfig({ source: { inline: { files: { 'flake.nix': '{ }' } } } });
  const second = await nextJob([first.metadata.name]);
  const about = (reason: string, job: string) =>
    told.filter((event) => event.reason === reason && event.message.includes(`Job ${job} `));
  await vi.waitFor(() => expect(about('BuildStarted', second.metadata.name)).toHaveLength(1), until);
  expect(about('BuildSuperseded', first.metadata.name)).toHaveLength(1);
  await vi.waitFor(() => expect(current()?.status?.build?.job).toBe(second.metadata.name), until);
  expect(about('BuildStarted', second.metadata.name)).toHaveLength(1);
  expect(about('BuildSuperseded', first.metadata.name)).toHaveLength(1);
});

test('a manifest that an old API server let through says which field is wrong', async () => {
  seedConfig({ source: {} });
  await vi.waitFor(() => expect(ready()).toMatchObject({ reason: 'InvalidSpec', status: 'False' }), until);
  expect(ready()?.message).toContain('spec.source: set exactly one of flake, git, inline');
  expect(api.list(jobs)).toEqual([]);
});

test('delivery Immediate tells its machines as soon as their closure is built', async () => {
  seedMachine('m1');
  seedConfig({ delivery: 'Immediate' });
  const job = await nextJob();
  expect(api.get(nixMachines, 'demo/m1')?.status?.desired).toBeUndefined();
  await finish(job, { m1: CLOSURE('m1') });
  await vi.waitFor(
    () =>
      expect(api.get(nixMachines, 'demo/m1')?.status?.desired).toMatchObject({
        closure: CLOSURE('m1'),
        go: true,
        reason: 'Immediate',
      }),
    until,
  );
  expect(api.get(nixMachines, 'demo/m1')?.status?.conditions?.length).toBeGreaterThan(0);
});

test('answers that get lost, races that are lost and an API server that is away start one Job, not two', async () => {
  seedMachine('m1');
  api.faults.inject({ verb: 'PATCH', path: /\/jobs\// }, { kind: 'lose-answer' }, 1);
  api.faults.inject(
    { verb: 'PATCH', path: /nixconfigs\/web\/status/ },
    { kind: 'status', status: 409, reason: 'Conflict' },
    2,
  );
  api.faults.inject({ verb: 'PATCH', path: /\/configmaps\// }, { kind: 'status', status: 503 }, 1);
  seedConfig(git);
  const job = await nextJob();
  await vi.waitFor(() => expect(current()?.status?.build?.job).toBe(job.metadata.name), until);
  await finish(job, { m1: CLOSURE('m1') });
  await vi.waitFor(() => expect(ready()?.status).toBe('True'), until);
  const made = api.requests.filter(({ verb, path }) => verb === 'PATCH' && path.includes('/jobs/'));
  expect(new Set(made.map(({ path }) => path)).size).toBe(1);
});

test('an operator that starts anew goes on with the Job that is there', async () => {
  seedMachine('m1');
  seedConfig(git);
  const job = await nextJob();
  stop.abort();
  await running;
  stop = new AbortController();
  running = start();
  await finish(job, { m1: CLOSURE('m1') });
  await vi.waitFor(() => expect(ready()?.status).toBe('True'), until);
  expect(api.seen({ verb: 'PATCH', path: /\/jobs\// })).toHaveLength(1);
});

test('a source that does not answer is a condition that a person understands, and mends itself', async () => {
  head = '';
  seedMachine('m1');
  seedConfig(git);
  await vi.waitFor(() => expect(ready()?.reason).toBe('SourceFailed'), until);
  expect(ready()?.message).toContain(
    'spec.source.git.ref.branch: https://git.example/fleet has no branch main; push it',
  );
  expect(api.list(jobs)).toEqual([]);
  head = REV_1;
  const now = current();
  api.seed(nixConfigs, {
    ...now,
    metadata: { ...now?.metadata, annotations: { 'floe.dev/reconcile': 'again' } },
  } as NixConfig);
  await nextJob();
});

test.each<[string, Partial<NixConfig['spec']>]>([
  ['while it is suspended', { suspend: true }],
  ['while its source can not be read', { source: { git: { url: 'https://x/y', secretRef: { name: 'login' } } } }],
])('the signing key is shown %s: machines must trust it before anything is built', async (_, spec) => {
  seedConfig(spec);
  await vi.waitFor(() => expect(current()?.status?.cache).toBeDefined(), until);
  const status = current()?.status;
  const secret = api.get(secrets, `demo/${SIGNING_KEY_SECRET}`)?.data?.['secret'] ?? '';
  expect(status?.cache?.publicKey).toBe(publicKeyOf(Buffer.from(secret, 'base64').toString()));
  expect(status?.revision).toBeUndefined();
  expect(api.list(jobs)).toEqual([]);
});

test('a Job that the API server refuses is a condition, and no Job', async () => {
  api.faults.inject(
    { verb: 'PATCH', path: /\/jobs\// },
    { kind: 'status', status: 422, reason: 'Invalid', message: 'quantities must match' },
    1,
  );
  seedMachine('m1');
  seedConfig({ build: { nodeSelector: { 'not a label': 'x' } } });
  await vi.waitFor(() => expect(ready()?.reason).toBe('JobRefused'), until);
  expect(ready()?.message).toContain('spec.build: the API server refuses the build Job: quantities must match');
  expect(api.list(configMaps)).toEqual([]);
});
