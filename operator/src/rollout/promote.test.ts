// `promote`, `onFailure: Continue`, and the record of who ordered what.
import { expect, test } from 'vitest';
import { givenBy } from './order-record.ts';
import {
  at,
  batch,
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
  rollout,
  running,
  runs,
  took,
} from './rollout.fixture.ts';
import { eventsBetween } from './rollout-events.ts';

const promote = { 'floe.dev/promote': 'p1' };
const steps = [batch(1), pause(), batch(1), pause('1h')];

test('promote sends a run straight to its last batch, under the budget', () => {
  const plan = planScene({
    machines: [machine('m1', took('m1', R2, 1000)), ...fleet(5).slice(1)],
    spec: { steps, maxUnavailable: 3 },
    status: running({ step: { index: 1, total: 5, startedAt: at(MINUTE) } }),
    annotations: promote,
    now: 3 * MINUTE,
  });
  expect([plan.phase, plan.step]).toEqual(['Progressing', { index: 4, total: 5 }]);
  expect(plan.dispatch).toHaveLength(3);
  expect(Object.values(reasons(plan))).toEqual(['BudgetFull']);
  expect(plan.status).toMatchObject({ promoted: true, pausedSeconds: 120, lastHandled: { promote: 'p1' } });
});

test('promote in the canary leaves out the rest of the steps, and a change of the steps too', () => {
  const status = running({ step: { index: 0, total: 5, startedAt: at(0) } });
  const first = planScene({ machines: fleet(3), spec: { steps, maxUnavailable: 3 }, status, annotations: promote });
  expect(namesIn(first.dispatch)).toEqual(['m1', 'm2', 'm3']);
  const edited = planScene({
    machines: fleet(3),
    spec: { steps: [...steps, pause()], maxUnavailable: 3 },
    status: first.status,
    annotations: promote,
  });
  expect(edited.step).toEqual({ index: 5, total: 6 });
  expect(edited.status).toMatchObject({ promoted: true });
});

test.each([
  ['a failed run', running({ phase: 'Failed', stopped: { reason: 'Failed' as const, message: 'x', at: at(0) } })],
  ['a completed run', running({ phase: 'Completed', stableRevision: R2 })],
  ['a run that goes back', running({ phase: 'RollingBack', rollback: { to: R1, startedAt: at(0) } })],
])('on %s promote does nothing and is echoed', (_, status) => {
  const scene = { machines: [machine('m1', took('m1', R2, 0))], spec: { steps }, status };
  const plan = planScene({ ...scene, annotations: promote });
  expect(plan.status.promoted).toBeUndefined();
  expect(plan.status.lastHandled).toEqual({ promote: 'p1' });
  expect(plan.phase).toBe(planScene(scene).phase);
});

test('continue and promote at once lead a failed run to its end', () => {
  const stopped = { reason: 'Failed' as const, message: 'x', at: at(0) };
  const plan = planScene({
    machines: [machine('m1', failed('m1', R2, 1000)), machine('m2', runs('m2', R1))],
    spec: { steps },
    status: running({
      phase: 'Failed',
      stopped,
      step: { index: 0, total: 5, startedAt: at(0), toldBefore: 0, size: 1 },
    }),
    annotations: { ...promote, 'floe.dev/continue': 'c1' },
    now: MINUTE,
  });
  expect([plan.phase, plan.step.index, namesIn(plan.dispatch)]).toEqual(['Progressing', 4, ['m2']]);
});

test('a new run is not promoted', () => {
  const plan = planScene({
    machines: fleet(2, R2),
    spec: { steps },
    status: running({ revision: R1, promoted: true }),
  });
  expect(plan.status.promoted).toBeUndefined();
});

test('Continue goes on once the batch has ended, and ends complete but Incomplete', () => {
  const spec = { steps: [batch(2)], onFailure: 'Continue' as const, maxUnavailable: 4 };
  const status = running({ step: { index: 0, total: 2, startedAt: at(0), toldBefore: 0, size: 2 } });
  const open = [
    machine('m1', failed('m1', R2, 1000)),
    machine('m2', {
      ...took('m2', R2, 1000),
      current: { closure: `${R1}/m2` },
      attempt: { desiredId: `m2-${R2}-1000`, to: `${R2}/m2`, phase: 'Testing' },
    }),
  ];
  const waits = planScene({ machines: [...open, machine('m3', runs('m3', R1))], spec, status, now: MINUTE });
  expect([waits.phase, waits.step.index, waits.dispatch]).toEqual(['Progressing', 0, []]);
  const ended = [machine('m1', failed('m1', R2, 1000)), machine('m2', took('m2', R2, 1000))];
  const next = planScene({ machines: [...ended, machine('m3', runs('m3', R1))], spec, status, now: MINUTE });
  expect([next.phase, next.step.index, namesIn(next.dispatch)]).toEqual(['Progressing', 1, ['m3']]);
  const all = planScene({
    machines: [...ended, machine('m3', took('m3', R2, 2 * MINUTE))],
    spec,
    status: next.status,
    now: 3 * MINUTE,
  });
  expect([all.phase, all.status.stableRevision, all.counts.failed]).toEqual(['Completed', R2, 1]);
  expect(all.conditions.find(({ type }) => type === 'Incomplete')).toMatchObject({
    status: 'True',
    reason: 'Failed',
    message: 'failed: m1',
  });
  expect(all.status.failures).toHaveLength(1);
});

test('a canary of which nobody could be tested does not advance with Continue either', () => {
  const spec = { steps: [batch(1, { selector: { matchLabels: { role: 'x' } } })], onFailure: 'Continue' as const };
  expect(planScene({ machines: fleet(2), spec }).dispatch).toEqual([]);
});

test('orders are recorded with who and when, ten at most, and told as Events', () => {
  const annotations = {
    'floe.dev/promote': 'p1',
    'floe.dev/retry': 'r1',
    'floe.dev/reconcile': 'x',
    'floe.dev/by': 'promote p1 alice@example.com',
  };
  const old = Array.from({ length: 10 }, (_, i) => ({ verb: 'retry', value: `v${i}`, at: at(0) }));
  const status = running({ orders: old });
  const plan = planScene({ machines: fleet(1), status, annotations, now: MINUTE });
  expect(plan.status.orders).toHaveLength(10);
  expect(plan.status.orders?.slice(0, 3)).toEqual([
    { verb: 'promote', value: 'p1', by: 'alice@example.com', at: at(MINUTE) },
    { verb: 'retry', value: 'r1', at: at(MINUTE) },
    old[0],
  ]);
  const events = eventsBetween(status, plan.status).filter(({ reason }) => reason === 'Ordered');
  expect(events.map(({ message }) => message)).toEqual([
    'retry was ordered',
    'promote was ordered by alice@example.com',
  ]);
  const again = planScene({ machines: fleet(1), status: plan.status, annotations, now: 2 * MINUTE });
  expect(again.status.orders).toEqual(plan.status.orders);
});

const owner = (manager: string, keys: string[]) => ({
  manager,
  fieldsV1: { 'f:metadata': { 'f:annotations': Object.fromEntries(keys.map((key) => [`f:${key}`, {}])) } },
});

test.each<[string, object, string | undefined]>([
  ['says so', { annotations: { 'floe.dev/by': 'abort 1 bob' } }, 'bob'],
  ['speaks of another order', { annotations: { 'floe.dev/by': 'abort 2 bob' } }, undefined],
  [
    'is missing',
    { managedFields: [owner('flux', ['floe.dev/retry']), owner('kubectl-annotate', ['floe.dev/abort'])] },
    'kubectl-annotate',
  ],
  [
    'is empty',
    { annotations: { 'floe.dev/by': 'abort 1  ' }, managedFields: [owner('curl', ['floe.dev/abort'])] },
    'curl',
  ],
  ['is missing, and nobody owns it', { managedFields: [owner('flux', [])] }, undefined],
])('who gave an order where floe.dev/by %s', (_, meta, who) => {
  expect(givenBy(rollout({}, undefined, meta), 'abort', '1')).toBe(who);
});
