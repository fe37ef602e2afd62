// Build Jobs that are cut short, take too long, are overtaken or join late: what is built is taken once, and nothing else counts.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RevisionRecord } from '@floe/crds/revision-record';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { type Installation, SYSTEM } from '../src/installation.ts';
import { freshMarker } from '../src/scene.ts';
import { type Seen, Tenant } from '../src/tenant.ts';

/** Enough for a hand in the middle of it. */
const SECONDS = 12;

let floe: Installation;
let tenant: Tenant;

beforeAll(async () => {
  floe = await laneInstallation();
  tenant = await Tenant.create(floe, 'build-jobs');
});
afterAll(() => tenant?.remove());

/** Publishes repository `name` with one machine of that name, whose build sleeps; unlike any before it. */
async function publish(name: string, buildSeconds: number): Promise<string> {
  const common = `{ test.marker = "${freshMarker()}"; test.buildSeconds = ${buildSeconds}; }`;
  return (await tenant.publish(name, { machines: { [name]: '{ }' }, common })).commit;
}

function source(name: string): { git: { url: string } } {
  return { git: { url: `http://10.250.0.1:8418/${name}.git` } };
}

function untilBuilding(name: string, commit: string): Promise<Seen> {
  return tenant.until(name, `to build ${commit.slice(0, 7)}`, ({ config }) => {
    const { build } = config.status ?? {};
    return build?.phase === 'Building' && build.source?.endsWith(commit.slice(0, 7)) === true;
  });
}

/** What is stored of that commit; a test that is tried again has a commit of its own. */
async function recordsOf(name: string, commit: string): Promise<RevisionRecord[]> {
  return (await tenant.records(name)).filter(({ source: from }) => from.endsWith(commit.slice(0, 7)));
}

/** A config of that name with one machine of that name, in the middle of its build. */
async function inTheMiddle(name: string): Promise<{ commit: string; job: string }> {
  const commit = await publish(name, SECONDS);
  await tenant.apply(tenant.config(name, { source: source(name) }), ...tenant.machines(name, [name]));
  const { config } = await untilBuilding(name, commit);
  return { commit, job: config.status?.build?.job ?? '' };
}

describe.concurrent('a Job', () => {
  test('that takes longer than spec.build.timeout ends with a word about it, and is tried when that is raised', async () => {
    const name = 'slow';
    const commit = await publish(name, 8);
    const config = (timeout: string) => tenant.config(name, { source: source(name), build: { timeout } });
    await tenant.apply(config('4s'), ...tenant.machines(name, [name]));
    const { ready, config: late } = await tenant.untilReason(name, 'BuildTimeout');
    expect(ready.message).toContain('the build did not end within 4 s');
    expect(ready.message).toContain('spec.build.timeout');
    expect(ready.message).toContain('raise it');
    await tenant.apply(config('10m'));
    await tenant.untilBuilt(name, commit, { timeoutSeconds: 180 });
    const records = await recordsOf(name, commit);
    expect(records).toHaveLength(1);
    expect(records[0]?.job).not.toBe(late.status?.build?.job);
  });

  test('whose pod is deleted in the middle is built all the same, and counts once', async () => {
    const name = 'deleted';
    const { commit, job } = await inTheMiddle(name);
    await tenant.kubectl('delete', 'pod', '-l', `job-name=${job}`, '--wait=false');
    // Old Kubernetes gives the Job another pod; newer ones fail it, and then Floe starts another Job.
    await tenant.untilBuilt(name, commit, { timeoutSeconds: 180 });
    expect(await recordsOf(name, commit)).toHaveLength(1);
  });

  test('whose container is ended in the middle is tried again by itself', async () => {
    const name = 'ended';
    const { commit, job } = await inTheMiddle(name);
    await tenant.kubectl('exec', `job/${job}`, '-c', 'build', '--', 'sh', '-c', 'kill -TERM 1');
    const { ready, config } = await tenant.untilReason(name, 'BuildInterrupted');
    expect(ready.message).toContain('build was told to stop');
    expect(ready.message).toContain('tried again at');
    expect(config.status?.build).toMatchObject({ phase: 'Failed', attempts: 1 });
    expect(await recordsOf(name, commit)).toEqual([]);
    const built = await tenant.untilBuilt(name, commit, { timeoutSeconds: 180 });
    expect(built.config.status?.build?.job).not.toBe(job);
    expect(await recordsOf(name, commit)).toHaveLength(1);
  });

  test('gives way to a newer commit, and leaves no record', async () => {
    const name = 'overtaken';
    const { commit, job } = await inTheMiddle(name);
    const newer = await publish(name, 0);
    const { config } = await tenant.untilBuilt(name, newer);
    expect(await recordsOf(name, commit)).toEqual([]);
    expect(await recordsOf(name, newer)).toHaveLength(1);
    expect(config.status?.build?.job).not.toBe(job);
    expect(await tenant.jobs()).not.toContain(job);
    expect(newer).not.toBe(commit);
  });

  test('ends with spec.suspend, and starts anew after it', async () => {
    const name = 'suspended';
    const { commit, job } = await inTheMiddle(name);
    await tenant.apply(tenant.config(name, { source: source(name), suspend: true }));
    const { ready } = await tenant.untilReason(name, 'Suspended');
    expect(ready.message).toContain('until spec.suspend is false');
    await waitUntil(async () => !(await tenant.jobs()).includes(job), { what: `Job ${job} to be gone` });
    // Nothing is looked at meanwhile, either.
    const later = await publish(name, 0);
    await tenant.apply(tenant.config(name, { source: source(name), suspend: false }));
    await tenant.untilBuilt(name, later);
    expect(await recordsOf(name, commit)).toEqual([]);
    expect(await recordsOf(name, later)).toHaveLength(1);
    expect(later).not.toBe(commit);
  });
});

describe('a revision', () => {
  const name = 'joined';
  let commit: string;

  beforeAll(async () => {
    const machines = { one: '{ }', two: '{ }', three: '{ }' };
    commit = (await tenant.publish(name, { machines, common: `{ test.marker = "${freshMarker()}"; }` })).commit;
    await tenant.apply(tenant.config(name, { source: source(name) }), ...tenant.machines(name, ['one', 'two']));
    await tenant.untilBuilt(name, commit);
  });

  test('builds a machine that joins alone: one more Job, with nobody else in it', async () => {
    const before = (await tenant.get(name)).status?.revision;
    await tenant.apply(...tenant.machines(name, ['three']));
    const { config } = await tenant.until(
      name,
      'all three machines to be built',
      ({ config, ready }) => ready.status === 'True' && config.status?.machines?.ready === '3/3',
    );
    const records = await tenant.records(name);
    expect(records.map(({ machines }) => Object.keys(machines).toSorted())).toEqual([['one', 'two'], ['three']]);
    expect(new Set(records.map(({ job }) => job)).size).toBe(2);
    expect(config.status?.revision).toEqual(before);
  });

  test('in which nothing can be evaluated changes nothing, and says so', async () => {
    const before = await tenant.get(name);
    const machines = { one: '{ }', two: '{ }', three: '{ }' };
    const broken = '{ services.helo.enable = true; }';
    await tenant.publish(name, { machines, common: broken });
    const { config, ready } = await tenant.untilReason(name, 'EvaluationFailed');
    expect(ready.message).toContain(
      'the option services.helo does not exist, did you mean services.hello? (common.nix)',
    );
    expect(ready.message).toContain('2 of 3 more failed');
    expect(config.status?.failures?.map(({ machine }) => machine)).toEqual(['one', 'three', 'two']);
    // What Rollouts follow stays what it was.
    expect(config.status?.revision).toEqual(before.status?.revision);
    expect(config.status?.machines).toMatchObject({ total: 3, built: 0, failed: 3 });
  });
});

describe('inputs that nobody has pinned', () => {
  const url = (name: string): string => `git+http://10.250.0.1:8418/${name}.git`;

  /** A flake without a lock, whose one input is a branch that moves. */
  async function floating(name: string, input: string): Promise<void> {
    const folder = await tenant.folder(name);
    await mkdir(folder, { recursive: true });
    const flake = `{
      inputs.fleet.url = "${url(input)}";
      outputs = { self, fleet }: { nixosConfigurations.web = fleet.nixosConfigurations.web; };
    }`;
    await writeFile(join(folder, 'flake.nix'), flake);
    await floe.cluster.sources.publish(name, folder);
  }

  async function move(name: string): Promise<void> {
    await tenant.publish(name, { machines: { web: '{ }' }, common: `{ test.marker = "${freshMarker()}"; }` });
  }

  const web = (config: string, machine: string): object => ({
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: { name: machine, namespace: tenant.namespace },
    spec: { configRef: { name: config }, hostName: 'web' },
  });

  test.each([
    ['no lock in the repository', 'no-lock', {}],
    ['a branch in spec.inputs', 'branch', { inputs: { fleet: url('branch-moves') } }],
  ])('%s: who joins later is built with those that the revision has', async (_what, name, spec) => {
    await move(`${name}-input`);
    await move(`${name}-moves`);
    await floating(name, `${name}-input`);
    const config = tenant.config(name, { source: source(name), interval: '1h', ...spec });
    await tenant.apply(config, web(name, `${name}-1`));
    const { config: first } = await tenant.untilBuilt(name, undefined, { timeoutSeconds: 180 });
    await move(`${name}-input`);
    await move(`${name}-moves`);
    await tenant.apply(web(name, `${name}-2`));
    const { config: both } = await tenant.until(
      name,
      'both machines to be built',
      ({ config, ready }) => ready.status === 'True' && config.status?.machines?.ready === '2/2',
    );
    expect(both.status?.revision?.id).toBe(first.status?.revision?.id);
    const records = await tenant.records(name);
    expect(records).toHaveLength(2);
    const [one, two] = records;
    expect(two?.machines[`${name}-2`]).toBe(one?.machines[`${name}-1`]);
    // What binds is in the record, whole.
    expect(two?.lock).toBe(one?.lock);
    expect(JSON.parse(one?.lock ?? '')).toMatchObject({ version: 7, nodes: { fleet: { locked: { type: 'git' } } } });
  });
});

test('the operator is restarted while a Job runs: its result is taken, and nothing is built twice', async () => {
  const name = 'orphan';
  const { commit, job } = await inTheMiddle(name);
  const operators = ['-n', SYSTEM, 'delete', 'pod', '-l', 'app.kubernetes.io/component=operator'];
  await floe.cluster.kubectl([...operators, '--force', '--grace-period=0', '--wait=false']);
  const { config } = await tenant.untilBuilt(name, commit, { timeoutSeconds: 180 });
  expect(config.status?.build?.job).toBe(job);
  expect(config.status?.build?.attempts).toBeUndefined();
  expect((await recordsOf(name, commit)).map((record) => record.job)).toEqual([job]);
  await waitUntil(async () => (await tenant.jobs()).length === 0, { what: 'the Job that ended to be deleted' });
  const ready = ['-n', SYSTEM, 'rollout', 'status', 'deployment/floe-operator', '--timeout=120s'];
  await floe.cluster.kubectl(ready, { timeoutSeconds: 150 });
});
