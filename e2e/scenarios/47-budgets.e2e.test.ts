// What may be down at once, on real machines: one whose power is cut in mid-batch keeps its slot; two Rollouts share a budget, and one waits for the other.
import { setTimeout as sleep } from 'node:timers/promises';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import { FleetWatch } from '../src/fleet-watch.ts';
import type { Installation } from '../src/installation.ts';
import { type Fleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

let floe: Installation;
let watch: FleetWatch;

beforeAll(async () => {
  floe = await laneInstallation();
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
  return waitForFleet(floe, what, done, { timeoutSeconds: 120 });
}

/** The machine that is between its old and its new closure. */
const switching = (machines: readonly NixMachine[], revision: string): NixMachine | undefined =>
  machines.find(({ status }) => status?.desired?.revision === revision && status.attempt?.phase === 'Testing');

test('a machine whose power is cut in mid-batch keeps its slot until it is back, and nobody else is told', async () => {
  await floe.apply(rollout({ maxUnavailable: 1 }));
  const revision = await publishBuilt(floe, {}, marked(freshMarker(), 'test.activationSeconds = 4;'));
  const begun = await until('the first to be switched', ({ machines }) => switching(machines, revision) !== undefined);
  const first = switching(begun.machines, revision)?.metadata.name ?? '';
  const machine = await floe.machine(first);
  await machine.kill();
  const find = ({ machines }: Fleet) => machines.find(({ metadata }) => metadata.name === first)?.status;
  // It was told, so that it counts as off with a slot.
  await until('the hub to miss it', (fleet) => {
    const { unavailable, updated, pending } = statusOf(fleet).counts ?? {};
    return find(fleet)?.connection?.online === false && unavailable === 1 && updated === 0 && pending === 4;
  });
  await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/reconcile=${freshMarker()}`);
  // Time enough for a plan that would tell another one.
  await sleep(5000);
  expect(watch.names(revision)).toEqual([first]);

  await machine.start();
  // What did not survive its first minute is not trusted: it came back on the old closure, and says so.
  const back = await until('it to be back', (fleet) => find(fleet)?.attempt?.phase === 'RolledBack');
  expect(find(back)?.attempt?.message).toContain('restarted before the new closure was kept');
  await until('the run to fail', (fleet) => statusOf(fleet).phase === 'Failed');
  expect(watch.names(revision)).toEqual([first]);
  await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/retry=${freshMarker()}`);
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
