// The operator and the API server die in the middle of a batch: the rollout goes on, within its budget, and nobody is told twice.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { FleetWatch } from '../src/fleet-watch.ts';
import { type Installation, SYSTEM } from '../src/installation.ts';
import { LeaderWatch } from '../src/leader-watch.ts';
import { describe as describeFleet, readFleet } from '../src/observe.ts';
import { complaints, OperatorPods } from '../src/operator-pods.ts';
import { calm, freshMarker, marked, publishBuilt, waitDone } from '../src/scene.ts';
import { switchesTo } from '../src/switches.ts';

const BUDGET = 2;
/** A leader that can't renew its Lease for so long ends. */
const RENEWAL_SECONDS = 10;
/** What an outage leaves in the logs: an API server that has just started also denies what it has not read its own rules for. */
const AFTER_OUTAGE = /lost the leadership|is forbidden/;

let floe: Installation;
let pods: OperatorPods;
let watch: FleetWatch;
let leaders: LeaderWatch;
/** When the test began. */
let began = '';

beforeAll(async () => {
  floe = await laneInstallation();
  pods = new OperatorPods(floe);
  await calm(floe, { maxUnavailable: BUDGET });
});
beforeEach(async () => {
  await pods.untilReady();
  began = new Date().toISOString();
  watch = await FleetWatch.start(floe);
  leaders = LeaderWatch.start(floe, pods);
});
afterEach(async () => {
  await watch?.[Symbol.asyncDispose]();
  await leaders?.[Symbol.asyncDispose]();
});
afterAll(async () => {
  if (!(await floe.cluster.daemon('apiserver').isRunning())) await floe.cluster.startApiServer();
  await pods.untilReady();
  await calm(floe);
});

/** Publishes a revision whose switch takes some seconds, and returns when a batch of it is in hand, with more to come. */
async function inMidBatch(): Promise<string> {
  const revision = await publishBuilt(floe, {}, marked(freshMarker(), 'test.activationSeconds = 3;'));
  await waitUntil(async () => watch.switching.length > 0 && watch.names(revision).length < floe.machineNames.length, {
    what: `machines to be switched to ${revision} while others wait`,
    everySeconds: 0.05,
    explain: async () => describeFleet(await readFleet(floe)),
  });
  return revision;
}

/** Everyone has the revision, by one order and one switch each, and never more at once than the budget allows. */
async function expectOneOrderEach(revision: string): Promise<void> {
  const fleet = await waitDone(floe, revision);
  expect(watch.most.length, `switched at once: ${watch.most.join(' ')}`).toBeLessThanOrEqual(BUDGET);
  expect([...watch.names(revision)].sort()).toEqual([...floe.machineNames]);
  for (const { metadata, status } of fleet.machines) {
    const [order] = watch.told(revision).filter(({ machine }) => machine === metadata.name);
    expect(status?.desired, metadata.name).toMatchObject({ id: order?.desired.id, sequence: order?.desired.sequence });
    expect(status?.attempt, metadata.name).toMatchObject({ desiredId: order?.desired.id, phase: 'Committed' });
    expect(await switchesTo(floe, metadata.name, status?.desired?.closure ?? ''), metadata.name).toBe(1);
  }
  expect(fleet.rollouts[0]?.status?.counts).toMatchObject({ total: 5, updated: 5, failed: 0, unavailable: 0 });
  expect(leaders.together).toEqual([]);
  expect(leaders.samples).toBeGreaterThan(0);
}

/** No errors in the logs since the test began, but those that belong to the fault. */
async function expectQuietLogs(except?: RegExp): Promise<void> {
  const lines = complaints((await pods.logs()).filter(({ time }) => time >= began));
  expect(lines.filter((line) => except?.test(line) !== true)).toEqual([]);
}

test('the process of the leader is killed: it comes back, leads on, and the batch goes on', async () => {
  const revision = await inMidBatch();
  const leader = await pods.leader();
  await pods.killProcess(leader);
  await expectOneOrderEach(revision);
  const killed = (await pods.untilReady()).find(({ name }) => name === leader);
  expect(killed?.restarts).toBeGreaterThan(0);
  await expectQuietLogs();
});

test('the pod of the leader is gone at once: another replica leads when its Lease has run out', async () => {
  const revision = await inMidBatch();
  const leader = await pods.leader();
  await pods.deleteByForce(leader);
  await expectOneOrderEach(revision);
  const now = await pods.untilReady();
  expect(now.map(({ name }) => name)).not.toContain(leader);
  const next = await pods.leader();
  expect(next).not.toBe(leader);
  expect(leaders.led).toEqual(new Set([leader, next]));
  await expectQuietLogs();
});

test('both replicas are killed at once', async () => {
  const revision = await inMidBatch();
  const before = await pods.list();
  await Promise.all(before.map(({ name }) => pods.killProcess(name)));
  await expectOneOrderEach(revision);
  const after = await pods.untilReady();
  expect(after.map(({ name }) => name).sort()).toEqual(before.map(({ name }) => name).sort());
  await expectQuietLogs();
});

test('the API server is killed and comes back', async () => {
  const revision = await inMidBatch();
  const restarts = await restartsOf();
  const seconds = await away(() => floe.cluster.restartApiServer());
  await expectOneOrderEach(revision);
  await pods.untilReady();
  // A leader whose Lease can't be renewed ends; where the API server was quick, nobody had to.
  if (seconds < RENEWAL_SECONDS - 3) expect(await restartsOf()).toBe(restarts);
  await expectQuietLogs(AFTER_OUTAGE);
});

test('the API server is away for longer than a leader may lead: it ends, one leads again, and nobody rolls back', async () => {
  const revision = await inMidBatch();
  const restarts = await restartsOf();
  await floe.cluster.stopApiServer();
  await sleep((RENEWAL_SECONDS + 5) * 1000);
  await floe.cluster.startApiServer();
  await expectOneOrderEach(revision);
  await pods.untilReady();
  expect(await restartsOf()).toBeGreaterThan(restarts);
  await expectQuietLogs(AFTER_OUTAGE);
});

test('helm upgrade replaces both replicas in order; agents go over to the new ones', async () => {
  const revision = await inMidBatch();
  const before = (await pods.list()).map(({ name }) => name);
  await floe.cluster.helm(
    [
      ...['upgrade', 'floe', join(projectDir, 'charts/floe'), '-n', SYSTEM, '--reuse-values'],
      ...['--set-string', `operator.podAnnotations.scenario=${freshMarker()}`, '--wait', '--timeout', '2m'],
    ],
    { timeoutSeconds: 150 },
  );
  await expectOneOrderEach(revision);
  const after = (await pods.untilReady()).map(({ name }) => name);
  expect(after.filter((name) => before.includes(name))).toEqual([]);
  const fleet = await waitUntil(
    async () => {
      const seen = await readFleet(floe);
      const moved = seen.machines.every(
        ({ status }) => status?.connection?.online && after.includes(status.connection.replica ?? ''),
      );
      return moved && seen;
    },
    { what: 'every agent to be connected to a new replica', everySeconds: 0.5, timeoutSeconds: 45 },
  );
  expect(fleet.machines).toHaveLength(5);
  await expectQuietLogs();
});

async function restartsOf(): Promise<number> {
  return (await pods.list()).reduce((sum, pod) => sum + pod.restarts, 0);
}

/** Seconds that something takes. */
async function away(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
