// A window that opens in mid-run: closures are on the machines before, machines switch as it opens, each in its own zone, and what is urgent does not wait.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutStatus } from '@floe/crds/rollout';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laneInstallation } from '../runner/lane.ts';
import type { Installation } from '../src/installation.ts';
import { condition, type Fleet, waitForFleet } from '../src/observe.ts';
import { calm, freshMarker, marked, publishBuilt, rollout, waitDone } from '../src/scene.ts';

const MINUTE = 60_000;
/** Three quarters of an hour beside the zones of the others: the minute of its clocks is another one. */
const AWAY = { machine: 'm5', zone: 'Asia/Kathmandu', later: 15 * MINUTE };

let floe: Installation;
let good = '';

beforeAll(async () => {
  floe = await laneInstallation();
  good = await calm(floe);
  await setZone(AWAY.zone);
});
afterAll(async () => {
  await setZone(null);
  await calm(floe);
});

async function setZone(timeZone: string | null): Promise<void> {
  const patch = JSON.stringify({ spec: { timeZone } });
  await floe.kubectl('patch', 'nixmachine', AWAY.machine, '--type=merge', '-p', patch);
}

function statusOf(fleet: Fleet): RolloutStatus {
  return fleet.rollouts.find(({ metadata }) => metadata.name === 'fleet')?.status ?? {};
}

const hasFetched = ({ status }: NixMachine, revision: string): boolean =>
  status?.desired?.revision === revision && !status.desired.go && status.attempt?.phase === 'Fetched';
const runs = ({ status }: NixMachine, revision: string): boolean => status?.current?.revision === revision;

test('machines fetch before the window and switch in it, each by its own clocks; an urgent run waits for none', async () => {
  // Time enough to build and to fetch before it opens.
  const opens = Math.ceil((Date.now() + 60_000) / MINUTE) * MINUTE;
  const cron = `${new Date(opens).getUTCMinutes()} * * * *`;
  await floe.apply(rollout({ windows: [{ cron, duration: '10m', timeZone: 'Machine' }] }));
  const revision = await publishBuilt(floe, {}, marked(freshMarker()));

  const ready = await waitForFleet(floe, 'everyone to have fetched', (fleet) => {
    return fleet.machines.every((machine) => hasFetched(machine, revision)) && statusOf(fleet).waiting !== undefined;
  });
  expect(Date.now()).toBeLessThan(opens);
  expect(ready.machines.every((machine) => runs(machine, good))).toBe(true);
  for (const { metadata, status } of ready.machines) {
    const machine = await floe.machine(metadata.name);
    await machine.sh(`test -e ${status?.desired?.closure}/activate`);
    expect((await machine.sh('readlink /run/current-system')).trim()).toBe(status?.current?.closure);
  }
  const opening = new Date(opens).toISOString().replace('.000Z', 'Z');
  expect(statusOf(ready)).toMatchObject({ phase: 'Progressing', nextChange: opening });
  expect(statusOf(ready).waiting).toMatchObject({ reason: 'OutsideWindow', until: opening });
  const [given] = ready.rollouts;
  if (given === undefined) throw new Error('the Rollout is gone');
  expect(condition(given, 'Ready')?.message).toContain(
    `wait for a window: "${cron}" opens ${opening.slice(11, 16)} UTC`,
  );
  expect(condition(given, 'Reconciling')?.status).toBe('True');

  const isAway = ({ metadata }: NixMachine) => metadata.name === AWAY.machine;
  const open = await waitForFleet(floe, 'those whose window is open to switch', (fleet) => {
    const here = fleet.machines.filter((machine) => !isAway(machine));
    return here.every((machine) => runs(machine, revision)) && statusOf(fleet).waiting !== undefined;
  });
  for (const machine of open.machines) {
    if (isAway(machine)) expect(hasFetched(machine, revision)).toBe(true);
    else expect(Date.parse(machine.status?.desired?.since ?? '')).toBeGreaterThanOrEqual(opens);
  }
  const next = Date.parse(statusOf(open).nextChange ?? '');
  expect(next).toBe(opens + AWAY.later);

  await floe.kubectl('annotate', 'rollout.floe.dev', 'fleet', '--overwrite', `floe.dev/urgent=${freshMarker()}`);
  const done = statusOf(await waitDone(floe, revision));
  expect(Date.now()).toBeLessThan(next);
  expect(done.urgent?.at).toBeDefined();
  const [entry] = done.history ?? [];
  const { totalSeconds = -1, progressingSeconds = -1, pausedSeconds = -1 } = entry ?? {};
  expect(totalSeconds).toBe(progressingSeconds + pausedSeconds);
  expect(pausedSeconds).toBeGreaterThan(0);
});
