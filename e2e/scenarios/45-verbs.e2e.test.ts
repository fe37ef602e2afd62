// What a person orders by annotation, and how a rollout obeys: approve, abort, retry, continue, rollback, suspend; batches by label and percent.
import type { Rollout, RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { FleetWatch } from '../src/fleet-watch.ts';
import type { Installation } from '../src/installation.ts';
import { condition, type Fleet, waitForFleet } from '../src/observe.ts';
import { complaints, OperatorPods } from '../src/operator-pods.ts';
import { calm, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';
import { switchesTo } from '../src/switches.ts';

/** A unit that starts only where this file is, so that a retry can go well on a machine that was repaired meanwhile. */
const NEEDED = '/var/lib/needed-by-hello';
const NEEDS_FILE = `systemd.services.needs-file = { wantedBy = [ "multi-user.target" ]; script = "test -e ${NEEDED}"; serviceConfig.Type = "oneshot"; };`;

let floe: Installation;
/** When the scenario began: what the logs held before is of others. */
const began = new Date().toISOString();
let watch: FleetWatch;
/** What everyone runs before the test. */
let good = '';

beforeAll(async () => {
  floe = await laneInstallation();
  good = await calm(floe);
});
beforeEach(async () => {
  // A test may be tried a second time: it then starts from what the first try left behind.
  for (const name of floe.machineNames) await (await floe.machine(name)).sh(`rm -f ${NEEDED}`);
  const [only, ...others] = new Set(Object.values(await currentRevisions()));
  good = only !== undefined && others.length === 0 ? only : await calm(floe);
  watch = await FleetWatch.start(floe);
});
afterEach(async () => {
  await watch?.[Symbol.asyncDispose]();
});
afterAll(async () => {
  for (const name of floe.machineNames) await (await floe.machine(name)).sh(`rm -f ${NEEDED}`);
  await calm(floe);
  const lines = (await new OperatorPods(floe).logs()).filter(({ time }) => time >= began);
  expect(complaints(lines)).toEqual([]);
});

/** The Rollout of the test; everything else of its spec is gone. */
async function given(spec: Partial<RolloutSpec>): Promise<void> {
  await floe.apply(rollout(spec));
}

async function order(verb: string, value: string = freshMarker()): Promise<void> {
  await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/${verb}=${value}`);
  await until(`the order ${verb}=${value} to be handled`, ({ lastHandled }) => lastHandled?.[verb] === value);
}

function statusOf(fleet: Fleet): RolloutStatus {
  return fleet.rollouts.find(({ metadata }) => metadata.name === 'fleet')?.status ?? {};
}

/** Waits until the Rollout says so. */
async function until(what: string, done: (status: RolloutStatus) => boolean): Promise<Rollout> {
  const fleet = await waitForFleet(floe, what, (seen) => done(statusOf(seen)), { timeoutSeconds: 180 });
  const [found] = fleet.rollouts;
  if (found === undefined) throw new Error('the Rollout is gone');
  return found;
}

const publish = (more = '', modules: Readonly<Record<string, string>> = {}): Promise<string> =>
  publishBuilt(floe, modules, marked(freshMarker(), more));

/** All machines but these. */
function allBut(...names: readonly string[]): string[] {
  return floe.machineNames.filter((name) => !names.includes(name));
}

async function currentRevisions(): Promise<Record<string, string | undefined>> {
  const fleet = await waitForFleet(floe, 'the machines', () => true);
  return Object.fromEntries(fleet.machines.map(({ metadata, status }) => [metadata.name, status?.current?.revision]));
}

test('a pause waits until the run and step that it stands in are approved, and takes no other answer', async () => {
  await given({ steps: [{ batch: { size: 1 } }, { pause: {} }] });
  const revision = await publish();
  const paused = await until('the pause', ({ phase, revision: now }) => phase === 'Paused' && now === revision);
  const { run, step } = paused.status ?? {};
  expect(step).toMatchObject({ index: 1, total: 3, column: '2/3' });
  expect(condition(paused, 'Ready')).toMatchObject({ status: 'False', reason: 'Paused' });
  expect(condition(paused, 'Reconciling')?.status).toBe('True');
  expect(condition(paused, 'Ready')?.message).toContain('waiting for approval');
  expect(watch.names(revision)).toHaveLength(1);

  for (const wrong of [`${run}.0`, `00000000.1`, 'yes']) await order('approve', wrong);
  expect(await until('the same pause', () => true)).toMatchObject({ status: { phase: 'Paused', step: { index: 1 } } });
  expect(watch.names(revision)).toHaveLength(1);

  await order('approve', `${run}.1`);
  await waitDone(floe, revision);
  expect([...watch.names(revision)].sort()).toEqual([...floe.machineNames]);
  good = revision;
});

test('batches by label and by percent, under maxUnavailable', async () => {
  await floe.kubectl('label', 'nixmachine', 'm4', 'role=canary');
  await given({
    steps: [{ batch: { selector: { matchLabels: { role: 'canary' } } } }, { batch: { size: '60%' } }, { pause: {} }],
    maxUnavailable: 1,
  });
  const revision = await publish();
  const paused = await until('the pause', ({ phase, revision: now }) => phase === 'Paused' && now === revision);
  // 60 % of five are three, the canary among them.
  expect(watch.names(revision)[0]).toBe('m4');
  expect(watch.names(revision)).toHaveLength(3);
  expect(paused.status?.counts).toMatchObject({ total: 5, updated: 3, pending: 2, updating: 0 });
  expect(paused.status?.updated).toBe('3/5');
  await order('approve', `${paused.status?.run}.2`);
  await waitDone(floe, revision);
  expect(watch.most).toHaveLength(1);
  await floe.kubectl('label', 'nixmachine', 'm4', 'role-');
  good = revision;
});

test('abort tells nobody else, and who has the revision keeps it; retry starts the run anew', async () => {
  await given({ steps: [{ batch: { size: 2 } }], maxUnavailable: 1 });
  const revision = await publish('test.activationSeconds = 2;');
  await until('the first to be told', () => watch.names(revision).length > 0);
  await order('abort');
  const aborted = await until('the end', ({ phase, counts }) => phase === 'Failed' && counts?.updating === 0);
  expect(aborted.status).toMatchObject({ stopped: { reason: 'Aborted' }, stableRevision: good });
  expect(condition(aborted, 'Stalled')).toMatchObject({ status: 'True', reason: 'Aborted' });
  expect(condition(aborted, 'Stalled')?.message).toContain('retry');
  const told = watch.names(revision);
  expect(told.length).toBeLessThan(3);
  const now = await currentRevisions();
  for (const name of told) expect(now[name], name).toBe(revision);
  for (const name of allBut(...told)) expect(now[name], name).toBe(good);

  await order('retry');
  await waitDone(floe, revision);
  expect([...watch.names(revision)].sort()).toEqual([...floe.machineNames]);
  good = revision;
});

test('after a failure retry tells the failed machine again, and the run goes on', async () => {
  await given({ steps: [{ batch: { size: 1 } }] });
  const revision = await publish(NEEDS_FILE);
  const failed = await until('the failure', ({ phase, revision: now }) => phase === 'Failed' && now === revision);
  const [canary = ''] = watch.names(revision);
  expect(failed.status).toMatchObject({ stopped: { reason: 'Failed' }, counts: { failed: 1, updated: 0, pending: 4 } });
  expect(failed.status?.failures).toEqual([expect.objectContaining({ machine: canary })]);
  expect(failed.status?.failures?.[0]?.message).toContain('needs-file.service');
  expect(condition(failed, 'Stalled')?.message).toContain(canary);
  expect((await currentRevisions())[canary]).toBe(good);

  // The machines are repaired, the revision stays as it is.
  for (const name of floe.machineNames) await (await floe.machine(name)).sh(`touch ${NEEDED}`);
  await order('retry');
  const fleet = await waitDone(floe, revision);
  expect(watch.names(revision).filter((name) => name === canary)).toHaveLength(2);
  expect(new Set(watch.names(revision)).size).toBe(5);
  expect(watch.names(revision)).toHaveLength(6);
  const machine = fleet.machines.find(({ metadata }) => metadata.name === canary);
  expect(machine?.status?.desired?.reason).toBe('Retry');
  // What failed here in the runs before stays known as bad; what was retried and went well does not.
  expect(machine?.status?.knownBad ?? []).not.toContain(machine?.status?.current?.closure);
  good = revision;
});

test('continue accepts the failure of the step and goes on without that machine', async () => {
  await given({ steps: [{ batch: { selector: { matchLabels: { role: 'canary' } } } }] });
  await floe.kubectl('label', 'nixmachine', 'm2', 'role=canary');
  const revision = await publish('', { m2: '{ test.unitFails = true; }' });
  await until('the failure', ({ phase, revision: now }) => phase === 'Failed' && now === revision);
  expect(watch.names(revision)).toEqual(['m2']);
  await order('continue');
  const done = await until('the end', ({ phase }) => phase === 'Completed');
  expect(done.status?.counts).toMatchObject({ total: 5, updated: 4, failed: 1 });
  expect(condition(done, 'Incomplete')).toMatchObject({ status: 'True', reason: 'Failed' });
  expect(condition(done, 'Incomplete')?.message).toContain('m2');
  const now = await currentRevisions();
  expect(now['m2']).toBe(good);
  for (const name of allBut('m2')) expect(now[name], name).toBe(revision);
  expect(watch.names(revision).filter((name) => name === 'm2')).toHaveLength(1);

  // A revision that is whole again reaches everyone.
  await floe.kubectl('label', 'nixmachine', 'm2', 'role-');
  await given({});
  good = await publish();
  await waitDone(floe, good);
});

test('rollback takes back those that have the revision, and reaches nobody else', async () => {
  await given({ steps: [{ batch: { size: 2 } }, { pause: {} }], maxUnavailable: 1 });
  const revision = await publish();
  await until('the pause', ({ phase, revision: now }) => phase === 'Paused' && now === revision);
  const told = watch.names(revision);
  expect(told).toHaveLength(2);
  await order('rollback');
  const back = await until('the end', ({ phase }) => phase === 'Failed');
  expect(back.status).toMatchObject({ stopped: { reason: 'RolledBack' }, stableRevision: good });
  expect(back.status?.history?.[0]).toMatchObject({ revision, outcome: 'RolledBack' });
  expect(await currentRevisions()).toEqual(Object.fromEntries(floe.machineNames.map((name) => [name, good])));
  expect(watch.names(revision)).toEqual(told);
  expect(watch.most).toHaveLength(1);
});

test('a suspended Rollout tells nobody, and goes on when it is no longer', async () => {
  await given({ suspend: true });
  const revision = await publish();
  const waiting = await until('the run', ({ phase, revision: now }) => phase === 'Paused' && now === revision);
  expect(condition(waiting, 'Ready')).toMatchObject({ status: 'False', reason: 'Suspended' });
  expect(condition(waiting, 'Ready')?.message).toContain('spec.suspend');
  // Suspended in mid-run, too.
  await given({ maxUnavailable: 1 });
  await until('the first to be told', () => watch.names(revision).length > 0);
  await given({ maxUnavailable: 1, suspend: true });
  const stopped = await until(
    'everyone in hand to be done',
    ({ phase, counts }) => phase === 'Paused' && counts?.updating === 0,
  );
  const told = watch.names(revision);
  expect(told.length).toBeLessThan(5);
  expect(stopped.status?.counts?.updated).toBe(told.length);
  await given({});
  await waitDone(floe, revision);
  good = revision;
});

test('a newer revision supersedes the run in mid-batch: nobody else is told the old one', async () => {
  await given({ maxUnavailable: 1 });
  const old = await publish('test.activationSeconds = 12;');
  await until('the first to be told', () => watch.names(old).length > 0);
  const fresh = await publish();
  await waitDone(floe, fresh);
  const told = watch.names(old);
  expect(told.length).toBeLessThan(5);
  expect(new Set(watch.names(fresh))).toEqual(new Set(floe.machineNames));
  expect(watch.names(fresh)).toHaveLength(5);
  expect(watch.most).toHaveLength(1);
  const { history } = (await until('the history', () => true)).status ?? {};
  expect(history?.slice(0, 2)).toEqual([
    expect.objectContaining({ revision: fresh, outcome: 'Completed' }),
    expect.objectContaining({ revision: old, outcome: 'Superseded' }),
  ]);
  // Who was in the middle of the old one finished it first.
  for (const { machine, desired } of watch.told(old)) {
    expect(await switchesTo(floe, machine, desired.closure), machine).toBe(1);
  }
  good = fresh;
});
