// What may be down at once, on real machines: one whose power is cut in mid-batch keeps its slot; two Rollouts share a budget, and one waits for the other.
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { FleetWatch } from '../src/fleet-watch.ts';
import { Installation } from '../src/installation.ts';
import { type Fleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, kubectlOf, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

let floe: Installation;
let watch: FleetWatch;

beforeAll(async () => {
  floe = await Installation.attach(inject('cluster'));
  await calm(floe);
  watch = await FleetWatch.start(floe);
});
afterAll(async () => {
  await watch?.[Symbol.asyncDispose]();
  for (const name of floe.machineNames) await (await floe.machine(name)).start();
  await floe.kubectl('label', 'nixmachine', '--all', 'role-');
  await calm(floe);
});

const statusOf = (fleet: Fleet, name = 'fleet'): RolloutStatus =>
  fleet.rollouts.find(({ metadata }) => metadata.name === name)?.status ?? {};

function until(what: string, done: (fleet: Fleet) => boolean): Promise<Fleet> {
  return waitForFleet(kubectlOf(floe), what, done, { timeoutSeconds: 120 });
}

test('a machine whose power is cut in mid-batch keeps its slot until it is back and done', async () => {
  await floe.apply(rollout({ maxUnavailable: 1 }));
  const revision = await publishBuilt(floe, {}, marked(freshMarker(), 'test.activationSeconds = 4;'));
  await until('the first to be switched', () => watch.names(revision).length > 0);
  const [first = ''] = watch.names(revision);
  const machine = await floe.machine(first);
  await machine.kill();
  const off = await until(
    'the hub to miss it',
    ({ machines }) => machines.find(({ metadata }) => metadata.name === first)?.status?.connection?.online === false,
  );
  // It was told, so that it counts as off with a slot: a look at the plan from time to time tells nobody else.
  expect(statusOf(off).counts).toMatchObject({ unavailable: 1, updated: 0, pending: 4 });
  await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/reconcile=${freshMarker()}`);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  expect(watch.names(revision)).toEqual([first]);

  await machine.start();
  await waitDone(floe, revision);
  expect(watch.most).toEqual([expect.any(String)]);
  expect(new Set(watch.names(revision))).toEqual(new Set(floe.machineNames));
});

test('two Rollouts share a budget of the namespace, and the one that depends goes second', async () => {
  for (const name of floe.machineNames) {
    await floe.kubectl('label', 'nixmachine', name, '--overwrite', `role=${name < 'm3' ? 'db' : 'web'}`);
  }
  const own = (name: string, role: string, spec: Partial<RolloutSpec>): object => ({
    ...rollout({ selector: { matchLabels: { role } }, ...spec }),
    metadata: { name, namespace: 'fleet' },
  });
  await floe.kubectl('delete', 'rollouts.floe.dev', '--all', '--wait=true');
  const budgets = [{ name: 'all', maxUnavailable: 1 }];
  await floe.apply(own('db', 'db', { budgets }), own('web', 'web', {}));
  const complete = (revision: string) => (fleet: Fleet) =>
    ['db', 'web'].every((name) => {
      const { phase, revision: now } = statusOf(fleet, name);
      return phase === 'Completed' && now === revision;
    });
  watch.forget();
  const shared = await publishBuilt(floe, {}, marked(freshMarker(), 'test.activationSeconds = 1;'));
  await until('both to have it', complete(shared));
  // Each alone would move all of its machines at once.
  expect(watch.most).toHaveLength(1);
  expect(watch.names(shared)).toHaveLength(5);

  await floe.apply(own('db', 'db', {}), own('web', 'web', { dependsOn: [{ name: 'db' }] }));
  watch.forget();
  const ordered = await publishBuilt(floe, {}, marked(freshMarker()));
  await until('both to have it in order', complete(ordered));
  expect([...watch.names(ordered)].slice(0, 2).sort()).toEqual(['m1', 'm2']);
  expect(watch.names(ordered)).toHaveLength(5);
});
