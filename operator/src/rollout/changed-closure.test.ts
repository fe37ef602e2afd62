// A machine whose closure changes within one revision: another label in `{label:…}`, another host name.
import { desiredId, desiredIdWithoutClosure } from '@floe/crds/desired-id';
import type { Desired, NixMachine } from '@floe/crds/nix-machine';
import type { RolloutStatus } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import { orderChanges } from './order-desired.ts';
import type { Plan } from './plan-result.ts';
import {
  at,
  batch,
  closure,
  failed,
  fleet,
  MINUTE,
  machine,
  namesIn,
  pause,
  planScene,
  R1,
  R2,
  reasons,
  running,
  runs,
  type Scene,
  T0,
  took,
} from './rollout.fixture.ts';
import type { Order } from './tell.ts';

/** `m1` has another closure in R2 than it was told at first. */
const OTHER = `${closure(R2, 'm1')}-other`;
const closures = {
  knows: () => true,
  of: (revision: string, name: string) => ({
    kind: 'closure' as const,
    closure: revision === R2 && name === 'm1' ? OTHER : closure(revision, name),
  }),
};
const completed = running({ phase: 'Completed', stableRevision: R2 });
const all = (more: Partial<Desired> = {}): NixMachine[] =>
  ['m1', 'm2'].map((name) => {
    const status = took(name, R2, MINUTE);
    return machine(name, { ...status, desired: { ...(status.desired as Desired), run: 'run1', ...more } });
  });

function planned(scene: Scene): Plan {
  return planScene({ ...scene, snapshot: { closures } });
}

/** The machine once its order is stored, before its agent has answered. */
function stored(of: NixMachine, order: Order | undefined, ms: number): NixMachine {
  if (order === undefined) throw new Error('no order');
  const { desired } = orderChanges(of, order, { rollout: 'web', run: 'run1', go: true, now: T0 + ms });
  return { ...of, status: { ...of.status, ...(desired === undefined ? {} : { desired }) } };
}

/** The machine with the end of its order. */
function ended(of: NixMachine, phase: string, ms: number): NixMachine {
  const { desired, current } = of.status ?? {};
  const to = desired?.closure ?? '';
  const from = current?.closure ?? '';
  const system = phase === 'Committed' ? { current: { closure: to, revision: R2 } } : {};
  const attempt = { desiredId: desired?.id ?? '', to, from, phase, finishedAt: at(ms), message: 'x.service failed' };
  return { ...of, status: { ...of.status, ...system, attempt } };
}

test('after the end of a run it is told, and has not failed while its agent has not answered', () => {
  const [m1, m2] = all() as [NixMachine, NixMachine];
  const first = planned({ machines: [m1, m2], status: completed, now: 5 * MINUTE });
  expect(first.dispatch).toMatchObject([{ machine: 'm1', closure: OTHER, reason: 'Joined' }]);
  const told = stored(m1, first.dispatch[0], 5 * MINUTE);
  const next = planned({ machines: [told, m2], status: first.status, now: 5 * MINUTE + 1 });
  expect([next.counts.failed, next.counts.updating, next.status.failures]).toEqual([0, 1, []]);
  expect(reasons(next)).toEqual({ m1: 'InProgress' });
});

test('its former attempt is not the end of its new order, even where both have the same id', () => {
  const [m1, m2] = all() as [NixMachine, NixMachine];
  // As an earlier version of Floe told it, which left the closure out of the id.
  const desired = { ...(m1.status?.desired as Desired), closure: OTHER, since: at(4 * MINUTE) };
  const told = { ...m1, status: { ...m1.status, desired } };
  const plan = planned({
    spec: { onFailure: 'Rollback' },
    machines: [told, m2],
    status: running(),
    now: 5 * MINUTE,
  });
  expect([plan.phase, plan.rollback, plan.counts.failed]).toEqual(['Progressing', [], 0]);
});

test.each([
  ['in a pause', [batch(1), pause()], running({ step: { index: 1, total: 3, startedAt: at(2 * MINUTE) } })],
  [
    'while a later batch is not its own',
    [batch(1), batch(1, { selector: { matchLabels: { none: 'x' } } }), batch('100%')],
    running({ step: { index: 1, total: 3, startedAt: at(2 * MINUTE), toldBefore: 1 } }),
  ],
] as const)('it waits for nobody %s', (_, steps, status) => {
  const [m1] = all() as [NixMachine, NixMachine];
  const plan = planned({
    spec: { steps: [...steps], onFailure: 'Rollback', maxUnavailable: 1 },
    machines: [m1, ...fleet(4).slice(1)],
    status: status as RolloutStatus,
    now: 5 * MINUTE,
  });
  expect(plan.dispatch).toMatchObject([{ machine: 'm1', closure: OTHER, reason: 'Joined' }]);
});

test('it keeps to the budget, a hold and a window', () => {
  const [m1] = all() as [NixMachine, NixMachine];
  const status = running({ step: { index: 1, total: 3, startedAt: at(2 * MINUTE) } });
  const spec = { steps: [batch(1), pause()], maxUnavailable: 1 };
  const sick = machine('m2', { ...runs('m2', R1), failedUnits: ['a.service'] });
  const full = planned({ spec, machines: [m1, sick], status, now: 5 * MINUTE });
  expect([full.dispatch, reasons(full)['m1']]).toEqual([[], 'BudgetFull']);
  const held = { ...m1, spec: { ...m1.spec, hold: { reason: 'disk swap' } } };
  const alone = planned({ spec, machines: [held], status, now: 5 * MINUTE });
  expect([alone.dispatch, reasons(alone)['m1']]).toEqual([[], 'MachineSuspended']);
  const windows = [{ cron: '0 22 * * *', duration: '1h' }];
  const closed = planned({ spec: { ...spec, windows }, machines: [m1], status, now: 5 * MINUTE });
  expect([closed.dispatch, namesIn(closed.fetch)]).toEqual([[], ['m1']]);
  // Its go follows in the same pause.
  const [order] = closed.fetch;
  const fetching = order && orderChanges(m1, order, { rollout: 'web', run: 'run1', go: false, now: T0 + 5 * MINUTE });
  const attempt = { desiredId: order?.id ?? '', to: OTHER, phase: 'Fetched' };
  const fetched = { ...m1, status: { ...m1.status, ...fetching, attempt } } as NixMachine;
  const opened = planned({ spec: { ...spec, windows }, machines: [fetched], status, now: 10.5 * 60 * MINUTE });
  expect(opened.dispatch).toMatchObject([{ machine: 'm1', closure: OTHER, reason: 'Joined', id: order?.id }]);
});

test('told outside of the steps, its failure stops nobody and is said', () => {
  const [m1] = all() as [NixMachine, NixMachine];
  const spec = { steps: [batch(1), pause()], onFailure: 'Rollback' as const, maxUnavailable: '100%' };
  const status = running({ step: { index: 1, total: 3, startedAt: at(2 * MINUTE) } });
  const others = fleet(3).slice(1);
  const first = planned({ spec, machines: [m1, ...others], status, now: 5 * MINUTE });
  const told = stored(m1, first.dispatch[0], 5 * MINUTE);
  const bad = ended(told, 'RolledBack', 6 * MINUTE);
  const after = planned({ spec, machines: [bad, ...others], status: first.status, now: 7 * MINUTE });
  expect([after.phase, namesIn(after.status.failures ?? [])]).toEqual(['Paused', ['m1']]);
  const approved = planned({
    spec,
    machines: [bad, ...others],
    status: after.status,
    annotations: { 'floe.dev/approve': `${after.status.run}.1` },
    now: 8 * MINUTE,
  });
  expect([approved.phase, namesIn(approved.dispatch)]).toEqual(['Progressing', ['m2', 'm3']]);
  const done = others.map(({ metadata: { name } }) => {
    const of = took(name, R2, 9 * MINUTE);
    return machine(name, { ...of, desired: { ...(of.desired as Desired), run: 'run1' } });
  });
  const end = planned({ spec, machines: [bad, ...done], status: approved.status, now: 10 * MINUTE });
  expect([end.phase, end.conditions.find(({ type }) => type === 'Incomplete')?.message]).toEqual([
    'Completed',
    'failed: m1',
  ]);
});

test('the canary of the step in hand is tested with what it has now', () => {
  const [m1] = all() as [NixMachine, NixMachine];
  const spec = { steps: [batch(1, { soak: '10m' }), batch('100%')], maxUnavailable: '100%' };
  const status = running({ step: { index: 0, total: 2, startedAt: at(0), size: 1, toldBefore: 0 } });
  const others = fleet(3).slice(1);
  const first = planned({ spec, machines: [m1, ...others], status, now: 5 * MINUTE });
  expect(first.dispatch).toMatchObject([{ machine: 'm1', closure: OTHER, reason: 'Rollout' }]);
  const told = stored(m1, first.dispatch[0], 5 * MINUTE);
  const waits = planned({ spec, machines: [told, ...others], status: first.status, now: 20 * MINUTE });
  expect(waits.dispatch).toEqual([]);
  const bad = planned({
    spec,
    machines: [ended(told, 'RolledBack', 6 * MINUTE), ...others],
    status: first.status,
    now: 20 * MINUTE,
  });
  expect(bad.phase).toBe('Failed');
});

test('what it has in hand is finished first', () => {
  const [m1, m2] = all() as [NixMachine, NixMachine];
  const { attempt } = m1.status ?? {};
  const { finishedAt: _, ...open } = { desiredId: '', to: '', ...attempt, phase: 'Testing' };
  const busy = machine('m1', { ...m1.status, ...runsOld(), attempt: open });
  const plan = planned({ machines: [busy, m2], status: running(), now: 5 * MINUTE });
  expect([plan.dispatch, reasons(plan)]).toEqual([[], { m1: 'InProgress' }]);
});

const runsOld = () => ({ current: { closure: closure(R1, 'm1'), revision: R1 } });

test('a closure that it had before in the run is a new order again', () => {
  const machines = fleet(1);
  const first = planScene({ machines, status: running() }).dispatch[0];
  const one = ended(stored(machines[0] as NixMachine, first, 0), 'Committed', MINUTE);
  const second = planned({ machines: [one], status: running(), now: 2 * MINUTE }).dispatch[0];
  const two = ended(stored(one, second, 2 * MINUTE), 'Committed', 3 * MINUTE);
  const third = planScene({ machines: [two], status: running(), now: 4 * MINUTE }).dispatch[0];
  expect([first, second, third].map((order) => order?.closure)).toEqual([closure(R2, 'm1'), OTHER, closure(R2, 'm1')]);
  expect(new Set([first?.id, second?.id, third?.id]).size).toBe(3);
});

test('a run that is taken back takes it back, too', () => {
  const [m1] = all() as [NixMachine, NixMachine];
  const spec = { onFailure: 'Rollback' as const, maxUnavailable: '100%' };
  const plan = planned({
    spec,
    machines: [m1, machine('m2', failed('m2', R2, MINUTE))],
    status: running(),
    now: 5 * MINUTE,
  });
  expect(plan.rollback).toMatchObject([{ machine: 'm1', closure: closure(R1, 'm1') }]);
});

test('an order that stands at an upgrade is neither repeated nor failed, and counts as the order that it is', () => {
  const identity = { rollout: 'web', run: 'run1', machine: 'm1', retry: 0 };
  const of = (id: string, phase?: string): NixMachine => {
    const desired = { id, sequence: 1, revision: R2, closure: closure(R2, 'm1'), rollout: 'web', run: 'run1' };
    const told = { ...desired, reason: 'Rollout', go: true, since: at(0) };
    const attempt = phase === undefined ? {} : { attempt: { desiredId: id, to: closure(R2, 'm1'), phase } };
    return machine('m1', { ...runs('m1', R1), desired: told, ...attempt });
  };
  const former = desiredIdWithoutClosure(identity);
  const open = planScene({ machines: [of(former)], status: running(), now: MINUTE });
  expect([open.dispatch, open.counts.updating]).toEqual([[], 1]);
  const again = planScene({ machines: [of(former, 'Unconfirmed')], status: running(), now: MINUTE });
  const second = desiredId({ ...identity, retry: 1, closure: closure(R2, 'm1') });
  expect(again.dispatch).toMatchObject([{ machine: 'm1', id: second, reason: 'Retry' }]);
  const last = desiredIdWithoutClosure({ ...identity, retry: 2 });
  const spent = planScene({ machines: [of(last, 'Unconfirmed')], status: running(), now: MINUTE });
  expect([spent.phase, spent.dispatch]).toEqual(['Failed', []]);
});
