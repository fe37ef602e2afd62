// Properties of the planner under windows, freezes and hurry: nobody moves when nobody may, nobody waits longer than that.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import type { Window } from '@floe/crds/rollout-window';
import type { WindowAction } from '@floe/crds/window-action';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { timeMs } from '../conditions/moment.ts';
import { type Event, Fleet } from './fleet.fixture.ts';
import { checkKstatus } from './kstatus-of-plan.fixture.ts';
import type { Plan } from './plan-result.ts';
import { at, R1, R2, R3, T0 } from './rollout.fixture.ts';
import { Oracle } from './window-oracle.fixture.ts';

const HOUR = 3_600_000;
/** As far as any simulated course goes. */
const HORIZON = 6 * 24 * HOUR;

const WINDOWS: readonly (readonly Window[])[] = [
  [],
  [{ cron: '0 14 * * *', duration: '2h' }],
  [{ cron: '0 11 * * *', duration: '90m', timeZone: 'Machine' }],
  [{ cron: '*/20 * * * *', duration: '10m', actions: ['Switch'] }],
  [{ cron: '0 12 * * *', duration: '1h', actions: ['Download'] }],
  [
    { cron: '30 12 * * *', duration: '40m', actions: ['Download'] },
    { cron: '0 13 * * *', duration: '45m', timeZone: 'Machine', actions: ['Switch'] },
    { cron: '15 13 * * *', duration: '1h', actions: ['Switch', 'Reboot'] },
  ],
];
const FREEZES: readonly RolloutSpec['freezes'][] = [
  [],
  [],
  [{ from: at(20 * 60_000), to: at(50 * 60_000), reason: 'lunch' }],
  [
    { from: at(-HOUR), to: at(HOUR), reason: 'morning' },
    { from: at(HOUR), to: at(1.5 * HOUR), reason: 'noon' },
  ],
];
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York'];

const step = fc.constantFrom<Step>(
  { batch: { size: 1 } },
  { batch: { size: '50%', soak: '5m' } },
  { pause: { duration: '10m' } },
);
const spec: fc.Arbitrary<Partial<RolloutSpec>> = fc.record({
  steps: fc.array(step, { maxLength: 3 }),
  maxUnavailable: fc.constantFrom(1, '50%', '100%'),
  offline: fc.constantFrom('Wait' as const, 'Skip' as const),
  onFailure: fc.constantFrom('Pause' as const, 'Rollback' as const),
  machineTimeout: fc.constantFrom('10m', '30m'),
  windows: fc.constantFrom(...WINDOWS).map((windows) => [...windows]),
  freezes: fc.constantFrom(...FREEZES).map((freezes) => [...(freezes ?? [])]),
});
const timed = fc
  .tuple(spec, fc.constantFrom(undefined, '15m', '2h'))
  .map(([given, limit]) => (limit === undefined ? given : { ...given, progressDeadline: limit }));

const who = fc.integer({ min: 0, max: 4 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('begin' as const), machine: who }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      machine: who,
      fate: fc.constantFrom('Committed' as const, 'Committed' as const, 'Committed' as const, 'Failed' as const),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      seconds: fc.constantFrom(1, 59, 600, 1799, 3600, 40_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('off' as const, 'on' as const), machine: who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), machine: who, on: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('verb' as const),
      verb: fc.constantFrom('urgent' as const, 'retry' as const, 'continue' as const, 'rollback' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('revision' as const), revision: fc.constantFrom(R1, R2, R3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('spec' as const), spec: fc.record({ suspend: fc.boolean() }) }),
  },
);

const oracles = new Map<string, Oracle>();

function oracleOf(windows: readonly Window[], zone: string): Oracle {
  const key = `${JSON.stringify(windows)} ${zone}`;
  const known = oracles.get(key);
  if (known !== undefined) return known;
  const described = windows.map(({ cron, duration }) => ({
    cron,
    minutes: duration.endsWith('h') ? Number.parseInt(duration, 10) * 60 : Number.parseInt(duration, 10),
  }));
  const made = new Oracle(described, zone, { from: T0 - 2 * HOUR, to: T0 + HORIZON, lead: 180 });
  oracles.set(key, made);
  return made;
}

/** Whether a machine may, told by other means than the planner's. */
function may(fleet: Fleet, machine: NixMachine, action: WindowAction): boolean {
  const { windows = [], freezes = [] } = fleet.rollout.spec;
  const isFrozen = freezes.some(({ from, to }) => Date.parse(from) <= fleet.now && fleet.now < Date.parse(to));
  const named = windows.filter(({ actions = ['Switch', 'Reboot'] }) => actions.includes(action));
  const isOpen = named.some((window) =>
    oracleOf([window], window.timeZone === 'Machine' ? (machine.spec.timeZone ?? 'UTC') : 'UTC').isOpen(fleet.now),
  );
  return !isFrozen && (named.length === 0 || isOpen);
}

/** Nobody is told what it may not do now, and nobody is said to wait for a window that is open. */
function checkTold(fleet: Fleet, plan: Plan): void {
  const { urgent, revision, phase } = plan.status;
  const isDirect = revision === plan.status.stableRevision && phase !== 'Completed';
  const byName = new Map(fleet.machines.map((machine) => [machine.metadata.name, machine]));
  const of = (name: string): NixMachine => byName.get(name) ?? fleet.machines[0] ?? expect.unreachable();
  // An urgent run is so until it ends.
  if (!isDirect && (urgent === undefined || phase === 'Completed')) {
    for (const { machine } of plan.dispatch) expect(may(fleet, of(machine), 'Switch')).toBe(true);
    for (const { machine, id } of plan.fetch) {
      const { desired } = of(machine).status ?? {};
      // A go is taken back from who has not begun when the window ends.
      const isBack = desired?.id === id && desired.go;
      expect(may(fleet, of(machine), isBack ? 'Switch' : 'Download')).toBe(!isBack);
    }
  }
  checkHolds(fleet, plan, of);
}

/** Who waits for a time says for which. */
function checkHolds(fleet: Fleet, plan: Plan, of: (name: string) => NixMachine): void {
  for (const { machine, reason, message } of plan.hold) {
    if (reason === 'Frozen') expect(message).toMatch(/^frozen until .* UTC: (lunch|morning|noon)$/);
    if (reason !== 'OutsideWindow') continue;
    expect(message).toMatch(/^window ".*" opens .*UTC\)?$/);
    expect(may(fleet, of(machine), 'Switch') && may(fleet, of(machine), 'Download')).toBe(false);
    expect(plan.nextCheck).not.toBeNull();
  }
}

/** Nobody who has not begun to switch has a go outside of its window. */
function checkBegun(fleet: Fleet, { status, hold }: Plan): void {
  const isRunning = status.phase === 'Progressing' || status.phase === 'Paused' || status.phase === 'Completed';
  const isDirect = status.revision === status.stableRevision && status.phase !== 'Completed';
  if (!isRunning || isDirect || status.urgent !== undefined || fleet.rollout.spec.suspend === true) return;
  // One that had its time has failed, whatever it does then.
  const failed = new Set(hold.filter(({ reason }) => reason === 'Failed').map(({ machine }) => machine));
  for (const machine of fleet.machines) {
    if (failed.has(machine.metadata.name)) continue;
    const { desired, attempt, connection } = machine.status ?? {};
    const isOurs = desired?.go === true && desired.run === status.run && attempt?.desiredId === desired.id;
    const isThere = machine.status?.current?.closure === desired?.closure;
    if (!isOurs || isThere || connection?.online !== true || attempt.phase !== 'Fetching') continue;
    expect(may(fleet, machine, 'Switch')).toBe(true);
  }
}

/** The three durations, of each run that ended and of the one in hand. */
function checkDurations(fleet: Fleet, plan: Plan): void {
  const { history = [], pausedSeconds = 0, startedAt, waiting } = plan.status;
  for (const { totalSeconds = -1, progressingSeconds = -1, pausedSeconds: paused = -1, ...entry } of history) {
    expect(totalSeconds).toBe(progressingSeconds + paused);
    expect(Math.min(progressingSeconds, paused)).toBeGreaterThanOrEqual(0);
    const whole = ((timeMs(entry.endedAt) ?? 0) - (timeMs(entry.startedAt) ?? 0)) / 1000;
    expect(Math.abs(totalSeconds - whole)).toBeLessThan(1);
  }
  expect(pausedSeconds).toBeLessThanOrEqual(Math.ceil((fleet.now - (timeMs(startedAt) ?? 0)) / 1000) + 30);
  if (waiting !== undefined) expect(timeMs(waiting.since)).toBeLessThanOrEqual(fleet.now);
}

/** What a plan decides, without words that change with the day. */
const gist = ({ dispatch, fetch, rollback, phase, step, status, hold, counts }: Plan) => ({
  told: [dispatch, fetch, rollback].map((orders) => orders.map(({ machine, closure }) => `${machine} ${closure}`)),
  hold: hold.map(({ machine, reason }) => `${machine} ${reason}`),
  phase,
  step,
  counts,
  memory: [status.waiting, status.progress, status.urgent, status.nextChange, status.pausedSeconds],
});

/** Nothing changes by itself before `nextCheck`: so it is not too late, and nothing is written meanwhile. */
function checkNextCheck(fleet: Fleet, share: number): void {
  let plan = fleet.plan();
  for (let turn = 0; turn < 4; turn++) {
    fleet.apply(plan);
    plan = fleet.plan();
  }
  const now = fleet.now;
  const end = timeMs(plan.nextCheck ?? undefined) ?? now + 24 * HOUR;
  fleet.now = Math.min(end - 1, now + Math.floor((end - now) * share));
  expect(gist(fleet.plan())).toEqual(gist(plan));
  fleet.now = now;
}

function fleetOf(given: Partial<RolloutSpec>, zones: readonly string[]): Fleet {
  const fleet = new Fleet({ spec: given, labels: zones.map(() => ({})), writer: 'operator', revision: R2 });
  fleet.machines = fleet.machines.map((machine, i) => ({
    ...machine,
    spec: { ...machine.spec, timeZone: zones[i] ?? 'UTC' },
  }));
  return fleet;
}

const zones = fc.array(fc.constantFrom(...ZONES), { minLength: 1, maxLength: 5 });

test('over random windows, fleets and histories the rules hold', () => {
  fc.assert(
    fc.property(
      timed,
      zones,
      fc.array(event, { minLength: 15, maxLength: 40, size: 'max' }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (given, where, events, share) => {
        const fleet = fleetOf(given, where);
        for (const happening of events) {
          if (fleet.now > T0 + HORIZON - 24 * HOUR) break;
          fleet.happen(happening);
          const plan = fleet.plan();
          checkTold(fleet, plan);
          checkDurations(fleet, plan);
          checkKstatus(plan);
          // A restart after the status was stored decides the same.
          fleet.rollout = { ...fleet.rollout, status: plan.status };
          const again = fleet.plan();
          expect([gist(again), again.status]).toEqual([gist(plan), plan.status]);
          fleet.apply(again);
          checkBegun(fleet, again);
        }
        checkNextCheck(fleet, share);
      },
    ),
    { numRuns: 120 },
  );
}, 60_000);

/** One round in the life of a fleet on which nothing fails: what is told is done at once, then time passes. */
function round(fleet: Fleet): boolean {
  const plan = fleet.plan();
  checkTold(fleet, plan);
  fleet.apply(plan);
  if (plan.phase === 'Completed') return false;
  for (const [index] of fleet.machines.entries()) {
    for (let i = 0; i < 3; i++) fleet.happen({ kind: 'begin', machine: index });
    fleet.happen({ kind: 'end', machine: index, fate: 'Committed' });
  }
  const next = timeMs(fleet.plan().nextCheck ?? undefined);
  const seconds = next === undefined ? 1 : Math.max(0, (next - fleet.now) / 1000);
  fleet.happen({ kind: 'wait', seconds: Math.min(seconds, 1) === seconds ? seconds : 1 });
  const after = fleet.plan();
  const isIdle = after.dispatch.length + after.fetch.length === 0;
  const later = timeMs(after.nextCheck ?? undefined);
  if (isIdle && later !== undefined) fleet.now = later;
  return true;
}

test('a fleet on which nothing fails completes in the windows that come, woken by nextCheck alone', () => {
  fc.assert(
    fc.property(timed, zones, (given, where) => {
      const fleet = fleetOf(given, where);
      for (let turn = 0; turn < 400 && fleet.now < T0 + HORIZON && round(fleet); turn++);
      const end = fleet.plan();
      expect([end.phase, end.counts.updated]).toEqual(['Completed', where.length]);
    }),
    { numRuns: 60 },
  );
}, 60_000);
