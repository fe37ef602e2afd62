// Properties of the planner over random fleets, specs and histories.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Clocks, type Event, Fleet, type Writer } from './fleet.fixture.ts';
import { checkKstatus } from './kstatus-of-plan.fixture.ts';
import type { Plan } from './plan-result.ts';
import { R1, R2, R3 } from './rollout.fixture.ts';
import { budgetLimit, parseSize } from './share.ts';

/** States that are looked at; `npm run test:long` asks for a million. */
const STATES = Number(process.env['FLOE_STATES'] ?? 12_000);
/** Events of a history on the average. */
const MEAN = 40;

const size = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('1%', '10%', '34%', '50%', '99%', '100%'));
const selector = fc.constantFrom(
  { matchLabels: { role: 'a' } },
  { matchLabels: { role: 'b' } },
  { matchLabels: { role: 'none' } },
);
const soak = fc.constantFrom(undefined, '30s', '5m');

const batchStep: fc.Arbitrary<Step> = fc
  .tuple(fc.option(size, { nil: undefined }), fc.option(selector, { nil: undefined, freq: 3 }), soak)
  .filter(([s, l]) => s !== undefined || l !== undefined)
  .map(([s, l, k]) => ({
    batch: {
      ...(s === undefined ? {} : { size: s }),
      ...(l === undefined ? {} : { selector: l }),
      ...(k === undefined ? {} : { soak: k }),
    },
  }));
const pauseStep: fc.Arbitrary<Step> = fc.constantFrom<Step>({ pause: {} }, { pause: { duration: '1m' } });
const steps = fc.array(fc.oneof({ weight: 3, arbitrary: batchStep }, { weight: 1, arbitrary: pauseStep }), {
  maxLength: 4,
});

const spec: fc.Arbitrary<Partial<RolloutSpec>> = fc.record({
  steps,
  maxUnavailable: size,
  successThreshold: fc.constantFrom(100, 100, 90, 50, 0),
  offline: fc.constantFrom('Wait' as const, 'Skip' as const),
  onFailure: fc.constantFrom('Pause' as const, 'Rollback' as const, 'Continue' as const),
  machineTimeout: fc.constantFrom('10m', '30m'),
  minReadySeconds: fc.constantFrom(0, 0, 60),
});

const who = fc.integer({ min: 0, max: 7 });
const fate = fc.constantFrom(
  'Committed',
  'Committed',
  'Committed',
  'Committed',
  'RolledBack',
  'Failed',
  'Unconfirmed',
  'RebootRequired',
);
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('begin' as const), machine: who }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('end' as const), machine: who, fate }) as fc.Arbitrary<Event>,
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('off' as const, 'on' as const, 'on' as const), machine: who }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('sick' as const, 'well' as const, 'well' as const), machine: who }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), machine: who, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), machine: who }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'join' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('change' as const), machine: who }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      seconds: fc.constantFrom(0, 0.3, 0.45, 1, 20, 60, 400, 2000),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'verb' as const, verb: 'approve' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('verb' as const),
      verb: fc.constantFrom(
        'retry' as const,
        'continue' as const,
        'abort' as const,
        'promote' as const,
        'rollback' as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('revision' as const), revision: fc.constantFrom(R1, R2, R3) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('spec' as const),
      spec: fc.oneof(fc.record({ steps }), fc.record({ suspend: fc.boolean() })),
    }),
  },
);

const labels = fc.array(
  fc.record({ role: fc.constantFrom('a', 'b'), 'topology.kubernetes.io/zone': fc.constantFrom('z1', 'z2') }),
  { minLength: 1, maxLength: 8 },
);
const clocks = fc.constantFrom<Clocks | undefined>(undefined, [0], [0, 300_000, -20_000]);
const writer = fc.constantFrom<Writer>('operator', 'operator', 'stranger');

const told = ({ dispatch, fetch, rollback }: Plan) => ({
  dispatch: dispatch.map(({ machine, closure }) => ({ machine, closure })),
  fetch: fetch.map(({ machine, closure }) => ({ machine, closure })),
  rollback: rollback.map(({ machine, closure }) => ({ machine, closure })),
});

/** Each machine is done, or in exactly one list. */
function checkPartition(fleet: Fleet, plan: Plan): void {
  const listed = [...plan.dispatch, ...plan.fetch, ...plan.hold, ...plan.rollback].map(({ machine }) => machine);
  expect(new Set(listed).size).toBe(listed.length);
  for (const { metadata, status } of fleet.machines) {
    if (listed.includes(metadata.name)) continue;
    const target = fleet.closure(plan.status.revision ?? '', metadata.name);
    expect([status?.current?.closure, status?.bootDefault?.closure]).toContain(target);
  }
  const { total, updated, updating, failed, pending, notBuilt } = plan.counts;
  expect(updated + updating + failed + pending + notBuilt).toBe(total);
  expect(total).toBe(fleet.machines.length);
}

/** Never more than the limit disturbed through our doing. */
function checkBudget(fleet: Fleet, before: ReadonlySet<string>): void {
  const parsed = parseSize(fleet.rollout.spec.maxUnavailable ?? '10%');
  if (parsed === undefined) throw new Error('no size');
  const limit = budgetLimit(parsed, fleet.machines.length);
  // A machine that ended an order of an earlier run and went off is off before its go: it takes no slot of this run.
  const { run } = fleet.rollout.status ?? {};
  const isGone = ({ status }: NixMachine) =>
    status?.connection?.online === false &&
    status.desired?.run !== run &&
    status.attempt?.finishedAt !== undefined &&
    status.attempt.desiredId === status.desired?.id;
  const present = new Set(fleet.machines.filter((m) => !isGone(m)).map(({ metadata }) => metadata.name));
  const disturbed = [...fleet.disturbed].filter((name) => present.has(name));
  // Machines that leave shrink a limit in percent; what was given before stays given.
  const added = disturbed.filter((name) => !before.has(name));
  if (added.length > 0) expect(disturbed.length).toBeLessThanOrEqual(limit);
}

/** A machine that is told leaves room for those that are not ready for long enough. */
function checkReady(fleet: Fleet, { status, dispatch, budget }: Plan): void {
  const { minReadySeconds = 0 } = fleet.rollout.spec;
  if (minReadySeconds === 0 || status.rollback !== undefined || dispatch.length === 0) return;
  const unready = fleet.machines.filter(({ status: seen }) => {
    const since = Date.parse(seen?.current?.since ?? '');
    return seen?.connection?.online === true && fleet.now < since + minReadySeconds * 1000;
  });
  if (status.revision !== status.stableRevision) expect(budget.unavailable).toBeGreaterThanOrEqual(unready.length);
}

/** Nobody is told the same closure twice in a run, unless for want of confirmation (twice at most) or by retry. */
function checkOnce(fleet: Fleet, { retries, change }: { retries: number; change: number }): void {
  const times = new Map<string, number>();
  for (const { run, order, go } of fleet.given) {
    if (!go || order.reason === 'Rollback') continue;
    const key = `${run} ${order.machine} ${order.closure}`;
    times.set(key, (times.get(key) ?? 0) + 1);
  }
  // A closure that changes to and fro is told as often.
  for (const count of times.values()) expect(count).toBeLessThanOrEqual(3 * (1 + retries + change));
  const ids = new Map<string, string>();
  for (const { order } of fleet.given) {
    expect(ids.get(order.id) ?? order.closure).toBe(order.closure);
    ids.set(order.id, order.closure);
  }
}

/** Machines that were given a go or a fetch in one step, by run and step. */
type Taken = Map<string, Set<string>>;

/** No batch takes more than it said when it began. Who leaves makes room again. */
function checkSize(plan: Plan, taken: Taken, leavers: number): void {
  const { run, step } = plan.status;
  if (step?.size === undefined) return;
  const key = `${run} ${step.index} ${step.startedAt} ${plan.status.stepsHash}`;
  const names = taken.get(key) ?? new Set();
  taken.set(key, names);
  for (const { machine, reason } of plan.dispatch) if (reason === 'Rollout') names.add(machine);
  expect(names.size).toBeLessThanOrEqual(step.size + leavers);
}

/** Steps go forward only, while neither run nor steps change. */
function checkForward(before: Plan | undefined, plan: Plan): void {
  const [old, now] = [before?.status, plan.status];
  if (old === undefined || old.run !== now.run || old.stepsHash !== now.stepsHash) return;
  if (now.phase === 'RollingBack' || now.phase === 'Failed') return;
  expect(now.step?.index ?? 0).toBeGreaterThanOrEqual(old.step?.index ?? 0);
}

/** No machine counts as failed by an order that it has not answered, while there is time to. */
function checkFailures(fleet: Fleet, { status, phase }: Plan): void {
  if (phase === 'RollingBack' || phase === 'Failed') return;
  const shortest = 10 * 60_000;
  for (const { machine: name } of status.failures ?? []) {
    const { desired, attempt, current } = fleet.machines.find(({ metadata }) => metadata.name === name)?.status ?? {};
    const isAnswered = attempt?.desiredId === desired?.id && attempt?.to === desired?.closure;
    const isRecent = fleet.now < Date.parse(desired?.since ?? '') + shortest;
    // Who runs it may have turned bad.
    const runsIt = current?.closure === desired?.closure;
    expect([name, isAnswered || !isRecent || runsIt || desired?.go === false]).toEqual([name, true]);
  }
}

/** Whoever waits says for what. */
function checkReason(plan: Plan): void {
  const ready = plan.conditions.find(({ type }) => type === 'Ready');
  expect(ready?.message).not.toBe('');
  for (const { message } of plan.hold) expect(message).not.toBe('');
  const status = (type: string) => plan.conditions.find((condition) => condition.type === type)?.status;
  expect([plan.phase, status('Ready'), status('Reconciling'), status('Stalled')]).toEqual(
    plan.phase === 'Completed'
      ? ['Completed', 'True', 'False', 'False']
      : plan.phase === 'Failed'
        ? ['Failed', 'False', 'False', 'True']
        : [plan.phase, 'False', 'True', 'False'],
  );
  checkKstatus(plan);
}

test('over random fleets, specs and histories the rules hold', () => {
  let states = 0;
  fc.assert(
    fc.property(
      spec,
      labels,
      writer,
      clocks,
      fc.array(event, { minLength: 20, maxLength: 60, size: 'max' }),
      fc.nat(),
      (given, machines, by, times, events, seed) => {
        // As the operator plans, or as `floe plan` does.
        const more = times === undefined ? {} : { clocks: times, watches: true as const };
        const fleet = new Fleet({ spec: given, labels: machines, writer: by, revision: R2, ...more });
        const counted = { retries: by === 'operator' ? 0 : 1, leave: 0, change: 0 };
        const taken: Taken = new Map();
        let before: Plan | undefined;
        for (const happening of events) {
          if (happening.kind === 'verb' && happening.verb === 'retry') counted.retries += 1;
          if (happening.kind === 'leave' || happening.kind === 'change') counted[happening.kind] += 1;
          fleet.happen(happening);
          const plan = fleet.plan();
          states += 1;
          checkPartition(fleet, plan);
          checkReason(plan);
          checkSize(plan, taken, counted.leave);
          checkForward(before, plan);
          checkFailures(fleet, plan);
          checkReady(fleet, plan);
          before = plan;
          const shuffled = fleet.machines.toSorted((a, b) => rank(a.metadata.name, seed) - rank(b.metadata.name, seed));
          expect(fleet.plan(shuffled)).toEqual(plan);
          const stored = new Set(fleet.disturbed);
          // Whoever starts anew after the status was stored, and before anyone was told, decides the same.
          fleet.rollout = { ...fleet.rollout, status: plan.status };
          const again = fleet.plan();
          expect(told(again)).toEqual(told(plan));
          expect(again.status).toEqual(plan.status);
          fleet.apply(again);
          checkBudget(fleet, stored);
          checkOnce(fleet, counted);
        }
      },
    ),
    { numRuns: Math.ceil(STATES / MEAN) },
  );
  expect(states).toBeGreaterThan(STATES * 0.75);
}, 0);

function rank(name: string, seed: number): number {
  return [...name].reduce((hash, char) => (hash * 31 + char.charCodeAt(0)) >>> 0, seed >>> 0);
}

/** One round in the life of a fleet on which nothing fails; false once its rollout is complete. */
function liveRound(fleet: Fleet): boolean {
  const plan = fleet.plan();
  fleet.apply(plan);
  if (plan.phase === 'Completed') return false;
  if (plan.phase === 'Paused') fleet.happen({ kind: 'verb', verb: 'approve' });
  for (const [index] of fleet.machines.entries()) {
    for (let i = 0; i < 3; i++) fleet.happen({ kind: 'begin', machine: index });
    fleet.happen({ kind: 'end', machine: index, fate: 'Committed' });
  }
  fleet.happen({ kind: 'wait', seconds: 61 });
  return true;
}

test('a fleet on which nothing fails completes, whatever the steps', () => {
  fc.assert(
    fc.property(spec, labels, writer, (given, machines, by) => {
      const fleet = new Fleet({ spec: given, labels: machines, writer: by, revision: R2 });
      for (let round = 0; round < 200 && liveRound(fleet); round++);
      const end = fleet.plan();
      const first = given.steps?.find(({ batch }) => batch !== undefined)?.batch?.selector?.matchLabels?.['role'];
      // A canary that nobody can be is the one thing that waits for ever, and says so.
      const isUntestable = first !== undefined && !machines.some(({ role }) => role === first);
      if (isUntestable) expect(end.phase).toBe('Progressing');
      else expect([end.phase, end.counts.updated]).toEqual(['Completed', machines.length]);
    }),
    { numRuns: 150 },
  );
});
