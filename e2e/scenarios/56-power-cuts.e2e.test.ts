// The power is cut at five random moments of attempts, in `npm run test:long` at thirty, and what was not synced is lost: afterwards each machine runs the old or the new closure, boots the same, and the API says which.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttemptRecord } from '@floe/agent/attempt/record';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Machine } from '../bed/machine.ts';
import { laneInstallation } from '../runner/lane.ts';
import { Apart } from '../src/apart.ts';
import { Forgery } from '../src/forgery.ts';
import type { Installation } from '../src/installation.ts';

const NAME = 'scenario-power';
const CUTS_PER_MACHINE = Number(process.env['FLOE_CUTS'] ?? 1);
/** All steps of an attempt that ends well, in order. */
const STEPS: readonly Step[] = [
  ...(['fetch', 'await-go', 'begin', 'arm-switch', 'switch', 'arm-start', 'hand-over', 'arm-health'] as const),
  ...(['health', 'confirm', 'arm-commit', 'profile', 'boot', 'disarm', 'done'] as const),
];
/** At most this long after a step has begun, in milliseconds: often that is another step. */
const LATER_MS = 800;
/** What is said where the stronger form can't be run. */
const WITHOUT_LOOP = 'no ext4 in a file can be mounted here: machines are killed, and keep what the host has cached';
const FINAL = ['Committed', 'RolledBack', 'Unconfirmed', 'Failed', 'Cancelled'];

type Step = AttemptRecord['step'];

let apart: Apart;
let floe: Installation;
let forgery: Forgery;

beforeAll(async () => {
  floe = await laneInstallation();
  // A config whose Rollout tells nobody, so that an attempt that was cut off is not begun anew.
  apart = await Apart.take(floe, NAME, {});
  forgery = new Forgery(floe, NAME);
  const [missing] = (await onEach(giveDisk)).filter((why) => why !== undefined);
  if (missing !== undefined) process.stdout.write(`power cuts: ${WITHOUT_LOOP} (${missing})\n`);
});
afterAll(async () => {
  await onEach(takeDisk);
  await apart?.giveBack();
});

function onEach<T>(work: (machine: Machine) => Promise<T>): Promise<T[]> {
  return Promise.all(floe.machineNames.map(async (name) => work(await floe.machine(name))));
}

/** Puts all that the machine writes on an ext4 of its own. Returns why there is none here. */
async function giveDisk(machine: Machine): Promise<string | undefined> {
  await machine.stop();
  const missing = await machine.disk.make();
  await machine.start();
  return missing;
}

async function takeDisk(machine: Machine): Promise<void> {
  if (!machine.disk.exists) return;
  await machine.stop();
  await machine.disk.remove();
  await machine.start();
}

/** Whether an attempt at `now` has come as far as `step`; one that goes back has. */
function isAt(now: Step, step: Step): boolean {
  return !STEPS.slice(0, STEPS.indexOf(step)).includes(now);
}

/** Orders a new closure, cuts the power that many milliseconds after the step began, boots, and looks. Returns how it ended. */
async function cutAt(name: string, step: Step, laterMs: number): Promise<string> {
  const moment = `${laterMs} ms after ${step}`;
  const probe = await apart.probe(name);
  const closure = await forgery.build(name, `cut ${moment} ${Date.now()}`, '{ test.activationSeconds = 1; }');
  await forgery.upload(await forgery.pack(closure, floe.key.secret));
  await apart.activation(name, { drift: 'Report' });
  const before = await probe.closures();
  const id = await forgery.order(probe, closure);
  await probe.untilAttempt(closure, step, (attempt) => attempt.order.id === id && isAt(attempt.step, step));
  await sleep(laterMs);
  await probe.machine.kill();
  const cut = await probe.attempt();
  const found = cut?.order.id === id ? cut.step : 'not begun';
  await probe.machine.start();

  const { status } = await probe.untilObject(
    `attempt ${id} to have ended after a power cut ${moment} (at ${found})`,
    ({ status }) => status?.attempt?.desiredId === id && status.attempt.finishedAt !== undefined,
  );
  const phase = status?.attempt?.phase ?? '';
  const what = `${name}: cut ${moment}, at ${found}: ${phase}, ${status?.attempt?.message}`;
  const runs = phase === 'Committed' ? closure : before.current;
  const seen = await probe.closures();
  expect(FINAL, what).toContain(phase);
  expect(seen, what).toMatchObject({ current: runs, profile: runs, bootDefault: runs });
  expect(await probe.armedTimers(), what).toBe('');
  const said = await probe.untilObject(
    `that it runs ${runs}`,
    ({ status }) => status?.current?.closure === runs && status.connection?.online === true,
  );
  expect(said.status?.bootDefault, what).toMatchObject({ closure: runs, verified: true });

  await probe.machine.restart();
  expect(await probe.closures(), what).toEqual({ current: runs, profile: runs, bootDefault: runs, booted: runs });
  return `${found}: ${phase}`;
}

test('a power cut at any moment leaves the old or the new closure, the same after the next boot, and the API says which', async () => {
  // A first try may have left some off.
  await onEach((machine) => machine.start());
  const cuts = floe.machineNames.length * CUTS_PER_MACHINE;
  const ends = await Promise.allSettled(
    floe.machineNames.map(async (name, index) => {
      const found: string[] = [];
      for (let round = 0; round < CUTS_PER_MACHINE; round++) {
        // Each in a part of its own, so that a run meets all of an attempt, however slow the host.
        const part = round * floe.machineNames.length + index;
        const step = STEPS[Math.floor(((part + Math.random()) / cuts) * STEPS.length)] ?? 'done';
        found.push(await cutAt(name, step, Math.round(Math.random() * LATER_MS)));
      }
      // What Nix calls valid is whole.
      const verify = ['nix-store', '--verify', '--check-contents'];
      expect((await (await floe.machine(name)).tryExec(verify)).stderr).not.toContain('was modified');
      return found;
    }),
  );
  // Not before the last: a machine that is off in the middle of it takes no disk.
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  const found = ends.flatMap((end) => (end.status === 'fulfilled' ? end.value : []));
  expect(found).toHaveLength(cuts);
  process.stdout.write(`power cuts: ${found.join('; ')}\n`);
});
