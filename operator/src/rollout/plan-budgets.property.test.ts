// Properties of budgets, restarts, order and promotion over random fleets and histories, by other means than the planner's.
import type { RebootPolicy } from '@floe/crds/activation';
import type { DisruptionBudget } from '@floe/crds/budget';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Event, type Fate, Fleet, isWell } from './fleet.fixture.ts';
import { checkKstatus } from './kstatus-of-plan.fixture.ts';
import type { Plan } from './plan-result.ts';
import { batch, pause, R1, R2, R3 } from './rollout.fixture.ts';

/** States that are looked at; `npm run test:long` asks for a million. */
const STATES = Number(process.env['FLOE_STATES'] ?? 10_000);
const EVENTS = { minLength: 20, maxLength: 60, size: 'max' } as const;
/** Events of a history on the average. */
const MEAN = 40;

const size = fc.constantFrom<number | string>(1, 2, 3, '1%', '30%', '50%', '100%');
const selector = fc.constantFrom(undefined, { matchLabels: { role: 'a' } });
const budget: fc.Arbitrary<DisruptionBudget> = fc
  .tuple(size, fc.boolean(), fc.constantFrom(undefined, 'service'), selector)
  .map(([limit, up, groupBy, of]) => ({
    ...(up ? { maxUnavailable: limit } : { minAvailable: limit }),
    ...(groupBy === undefined ? {} : { groupBy }),
    ...(of === undefined ? {} : { selector: of }),
  }));

const spec: fc.Arbitrary<Partial<RolloutSpec>> = fc
  .record({
    budgets: fc.array(budget, { maxLength: 2 }),
    steps: fc.constantFrom<Step[]>(
      [],
      [batch(1)],
      [batch(1, { soak: '30s' }), pause(), batch('50%')],
      [pause('1m'), batch(2)],
    ),
    maxUnavailable: fc.constantFrom<number | string>(1, 2, '50%', '100%'),
    onFailure: fc.constantFrom('Pause' as const, 'Rollback' as const, 'Continue' as const, 'Continue' as const),
    offline: fc.constantFrom('Wait' as const, 'Skip' as const),
    successThreshold: fc.constantFrom(100, 50),
  })
  .chain((given) =>
    fc
      .constantFrom<number | undefined>(undefined, 1, 2)
      .map((maxRebooting) => (maxRebooting === undefined ? given : { ...given, maxRebooting })),
  );

const who = fc.nat(7);
const fates: readonly Fate[] = [
  'Committed',
  'Committed',
  'RebootRequired',
  'RebootRequired',
  'RolledBack',
  'Unconfirmed',
];
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('begin' as const), machine: who }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('end' as const), machine: who, fate: fc.constantFrom(...fates) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('off' as const, 'on' as const), machine: who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('sick' as const, 'well' as const), machine: who }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('neighbour' as const),
      machine: who,
      well: fc.boolean(),
      online: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), machine: who }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'join' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(1, 60, 400, 2000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('verb' as const),
      verb: fc.constantFrom(
        'approve' as const,
        'promote' as const,
        'retry' as const,
        'continue' as const,
        'rollback' as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('revision' as const), revision: fc.constantFrom(R1, R2, R3) }),
  },
);

const labels = (length: { minLength: number; maxLength: number }) =>
  fc.array(fc.record({ role: fc.constantFrom('a', 'b'), service: fc.constantFrom('x', 'y') }), length);
const policies = fc.array(fc.constantFrom<RebootPolicy>('Never', 'WhenRequired', 'InWindow'), {
  minLength: 1,
  maxLength: 3,
});

const fleets = fc.record({
  spec,
  labels: labels({ minLength: 1, maxLength: 8 }),
  others: labels({ minLength: 0, maxLength: 4 }),
  reboot: policies,
  writer: fc.constant('operator' as const),
  revision: fc.constant(R2),
});

/** How many of a group may be unavailable: said in other words than the planner's. */
function allowed({ maxUnavailable, minAvailable }: DisruptionBudget, total: number): number {
  const share = (value: number | string, round: (x: number) => number) =>
    typeof value === 'number' ? value : round((Number.parseInt(value, 10) / 100) * total);
  if (maxUnavailable !== undefined)
    return Math.max(
      1,
      share(maxUnavailable, (x) => Math.floor(x + 1e-9)),
    );
  return Math.max(0, total - share(minAvailable ?? 0, (x) => Math.ceil(x - 1e-9)));
}

/** The machines that a budget is about, by group. */
function groupsOf({ selector: of, groupBy }: DisruptionBudget, machines: readonly NixMachine[]): NixMachine[][] {
  const meant = machines.filter(
    ({ metadata }) => of === undefined || metadata.labels?.['role'] === of.matchLabels?.['role'],
  );
  if (groupBy === undefined) return [meant];
  const labelled = meant.filter(({ metadata }) => metadata.labels?.[groupBy] !== undefined);
  return [...Map.groupBy(labelled, ({ metadata }) => metadata.labels?.[groupBy]).values()];
}

/** Whoever was well and is not any more was told within every budget. */
function checkGroups(fleet: Fleet, wellBefore: ReadonlySet<string>): void {
  const all = [...fleet.machines, ...fleet.others];
  for (const given of fleet.rollout.spec.budgets ?? []) {
    for (const group of groupsOf(given, all)) {
      const down = group.filter((m) => !isWell(m)).map(({ metadata }) => metadata.name);
      if (!down.some((name) => wellBefore.has(name))) continue;
      expect(down.length).toBeLessThanOrEqual(allowed(given, group.length));
    }
  }
}

const restarts = ({ status }: NixMachine): boolean =>
  status?.attempt?.desiredId === status?.desired?.id &&
  (status?.attempt?.phase === 'Rebooting' ||
    (status?.attempt?.phase === 'RebootRequired' && status.desired?.reboot === true));

function checkRestarts(fleet: Fleet, plan: Plan): void {
  const limit = fleet.rollout.spec.maxRebooting;
  if (typeof limit === 'number' && plan.reboot.length > 0) {
    expect(fleet.machines.filter(restarts).length).toBeLessThanOrEqual(limit);
  }
  for (const { machine: name } of plan.reboot) {
    const one = fleet.machines.find(({ metadata }) => metadata.name === name);
    expect(one?.spec.activation?.reboot).not.toBe('Never');
    expect(one?.status?.desired).toMatchObject({ go: true, reboot: true });
  }
}

/** Each go of one run is for a machine that did not have it, and once, apart from retries. */
function checkOnce(fleet: Fleet, retries: number): void {
  const times = Map.groupBy(
    fleet.given.filter(({ order, go }) => go && order.reason !== 'Rollback'),
    ({ run, order }) => `${run} ${order.id}`,
  );
  for (const [, given] of times) expect(given.length).toBeLessThanOrEqual(1);
  const adopted = Map.groupBy(fleet.given, ({ run, order, go }) => `${run} ${order.machine} ${order.closure} ${go}`);
  for (const [, given] of adopted) expect(given.length).toBeLessThanOrEqual(3 * (1 + retries) + 2);
}

/** A promoted run is at its last step and stays there. */
function checkPromoted(before: Plan | undefined, plan: Plan): void {
  if (before?.status.promoted !== true || before.status.run !== plan.status.run) return;
  expect(plan.status.promoted).toBe(true);
  if (plan.phase === 'Progressing') expect(plan.step.index).toBe(plan.step.total - 1);
}

/** Whoever waits for others is named with numbers, and nobody waits in a group of which all are well. */
function checkReasons(plan: Plan): void {
  for (const { reason, message } of plan.hold) {
    if (reason === 'GroupBudgetFull') expect(message).toMatch(/\d+ of \d+|all \d+ must stay/);
  }
  if (plan.phase === 'Completed')
    expect(plan.counts.updated + plan.counts.failed).toBeLessThanOrEqual(plan.counts.total);
  if (plan.rebootsWaiting > 0 && plan.phase === 'Failed') expect(plan.reboot).toEqual([]);
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  return list
    .map((item, i) => ({ item, rank: Math.imul(i + 1, (seed | 1) >>> 0) >>> 0 }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

const NO_ORDERS = { fetch: [], rollback: [] };

test('budgets, restarts and once-only hold over random histories, whatever the order of the input and where it starts anew', () => {
  let states = 0;
  fc.assert(
    fc.property(fleets, fc.array(event, EVENTS), fc.nat(), (given, events, seed) => {
      const fleet = new Fleet(given);
      let before: Plan | undefined;
      let retries = 0;
      for (const happening of events) {
        if (happening.kind === 'verb' && happening.verb === 'retry') retries += 1;
        fleet.happen(happening);
        states += 1;
        const plan = fleet.plan();
        expect(fleet.plan(shuffled(fleet.machines, seed))).toEqual(plan);
        checkPromoted(before, plan);
        checkReasons(plan);
        checkKstatus(plan);
        before = plan;
        fleet.rollout = { ...fleet.rollout, status: plan.status };
        const again = fleet.plan();
        expect([again.dispatch, again.fetch, again.rollback, again.reboot, again.status]).toEqual([
          plan.dispatch,
          plan.fetch,
          plan.rollback,
          plan.reboot,
          plan.status,
        ]);
        const all = [...fleet.machines, ...fleet.others];
        const wellBefore = new Set(all.filter(isWell).map(({ metadata }) => metadata.name));
        fleet.apply(again);
        checkGroups(fleet, wellBefore);
        checkRestarts(fleet, again);
        checkOnce(fleet, retries);
      }
    }),
    { numRuns: Math.ceil(STATES / MEAN) },
  );
  expect(states).toBeGreaterThan(STATES * 0.9);
}, 0);

/** One round in which nothing fails. */
function liveRound(fleet: Fleet): boolean {
  const plan = fleet.plan();
  fleet.apply(plan);
  const isIdle = { fetch: plan.fetch, rollback: plan.rollback };
  if (plan.phase === 'Completed' && plan.reboot.length === 0 && plan.rebootsWaiting === 0) {
    expect(isIdle).toEqual(NO_ORDERS);
    return plan.counts.updating > 0;
  }
  if (plan.phase === 'Paused') fleet.happen({ kind: 'verb', verb: 'approve' });
  for (const [index] of fleet.machines.entries()) {
    for (let i = 0; i < 3; i++) fleet.happen({ kind: 'begin', machine: index });
    fleet.happen({ kind: 'end', machine: index, fate: index % 2 === 0 ? 'RebootRequired' : 'Committed' });
  }
  fleet.happen({ kind: 'wait', seconds: 61 });
  return true;
}

test('a fleet on which nothing fails completes and restarts, unless a group must stay whole', () => {
  fc.assert(
    fc.property(fleets, (given) => {
      const fleet = new Fleet(given);
      for (let round = 0; round < 200 && liveRound(fleet); round++);
      const end = fleet.plan();
      const isWhole = (given.spec.budgets ?? []).some((one) =>
        groupsOf(one, [...fleet.machines, ...fleet.others]).some((group) => allowed(one, group.length) === 0),
      );
      if (isWhole) return;
      expect([end.phase, end.counts.updated, end.rebootsWaiting]).toEqual(['Completed', fleet.machines.length, 0]);
      const waits = fleet.machines.filter(({ spec: own }) => (own.activation?.reboot ?? 'Never') !== 'Never');
      expect(waits.filter(({ status }) => status?.attempt?.phase === 'RebootRequired')).toEqual([]);
    }),
    { numRuns: Math.ceil(STATES / 60) },
  );
});
