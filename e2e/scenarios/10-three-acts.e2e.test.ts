// The demo's three acts, as a test: a first revision for all, a second by way of a canary, a third that breaks and comes back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntil } from '../bed/wait-until.ts';
import { laneInstallation } from '../runner/lane.ts';
import { brokenRevision, firstRevision, running, type Stage, secondRevision } from '../src/acts.ts';
import { type Installation, NAMESPACE } from '../src/installation.ts';
import { readFleet } from '../src/observe.ts';
import { jobsAreGone } from '../src/scene.ts';

describe('the three acts', () => {
  let floe: Installation;
  let stage: Stage;
  let first = '';
  let second = '';

  beforeAll(async () => {
    floe = await laneInstallation();
    stage = { floe, say: () => undefined };
    // As on the first day: what other scenarios have left of the fleet is gone, and with it the records of its revisions.
    await floe.kubectl('delete', 'rollouts.floe.dev,nixconfigs,nixmachines', '--all', '--wait=true');
    await waitUntil(async () => (await records()).length === 0, { what: 'the records to be gone', everySeconds: 0.5 });
  });

  const records = (): Promise<readonly unknown[]> =>
    floe.cluster.items(`/apis/apps/v1/namespaces/${NAMESPACE}/controllerrevisions?labelSelector=floe.dev/config=fleet`);

  afterAll(async () => {
    // What follows begins with a fleet on a good revision.
    await floe.kubectl('annotate', 'rollout', 'fleet', '--overwrite', `floe.dev/rollback=${Date.now()}`);
  });

  test('the first revision reaches every machine', async () => {
    first = await firstRevision(stage);
    const closures = Object.values(await running(floe));
    expect(new Set(closures).size).toBe(floe.machineNames.length);
  });

  test('the build Job is gone once its result is stored', async () => {
    await jobsAreGone(floe);
    expect(await records()).toHaveLength(1);
  });

  test('the second goes to a canary first, and the rest follows', async () => {
    second = await secondRevision(stage, first);
    expect(second).not.toBe(first);
  });

  test('the third breaks a service on the canary, is rolled back there and reaches nobody else', async () => {
    await brokenRevision(stage, second);
    const { rollouts } = await readFleet(floe);
    expect(rollouts[0]?.status).toMatchObject({ phase: 'Failed', stableRevision: second });
    expect(rollouts[0]?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Stalled', status: 'True' }),
    );
    expect(rollouts[0]?.status?.failures?.[0]?.message).toContain('fails.service');
  });
});
