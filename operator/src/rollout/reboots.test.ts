// Restarts: who is told with its go, who by a second word, and what it waits for.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import { desiredMessage } from '../hub/desired-message.ts';
import { orderChanges, rebootChanges } from './order-desired.ts';
import {
  at,
  batch,
  failed,
  MINUTE,
  machine,
  namesIn,
  off,
  planScene,
  R1,
  R2,
  reasons,
  running,
  runs,
  sick,
  T0,
  told,
} from './rollout.fixture.ts';

type Policy = 'Never' | 'WhenRequired' | 'InWindow';

function withPolicy(made: NixMachine, reboot: Policy | undefined): NixMachine {
  return reboot === undefined ? made : { ...made, spec: { ...made.spec, activation: { reboot } } };
}

/** Waits for its restart, or was told that it may. */
function waiting(name: string, policy: Policy | undefined, more: object = {}, desired: object = {}): NixMachine {
  const status = told(name, R2, 0, { phase: 'RebootRequired', from: `${R1}/${name}` }, desired);
  const bootDefault = { closure: `${R2}/${name}`, revision: R2 };
  return withPolicy(machine(name, { ...runs(name, R1), ...status, bootDefault, ...more }), policy);
}

const restarting = (name: string, policy: Policy = 'InWindow') =>
  waiting(name, policy, {}, { reboot: true, rebootSince: at(MINUTE) });

const open = (spec: Partial<RolloutSpec>, machines: NixMachine[], now = 2 * MINUTE) =>
  planScene({
    spec: { maxUnavailable: '100%', ...spec },
    status: running({ step: { index: 0, total: 1, startedAt: at(0), toldBefore: 0 } }),
    machines,
    now,
  });

test.each<[Policy | undefined, number | undefined, boolean]>([
  [undefined, undefined, false],
  ['Never', undefined, false],
  ['InWindow', undefined, false],
  ['WhenRequired', undefined, true],
  ['WhenRequired', 1, false],
])('policy %s, maxRebooting %s: the go says that it may restart: %s', (policy, maxRebooting, says) => {
  const fresh = withPolicy(machine('m1', runs('m1', R1)), policy);
  const plan = open(maxRebooting === undefined ? {} : { maxRebooting }, [fresh]);
  const [order] = plan.dispatch;
  if (order === undefined) throw new Error('nobody was told');
  const changes = orderChanges(fresh, order, { rollout: 'web', run: 'r', go: true, now: T0 });
  expect(changes.desired?.reboot).toBe(says ? true : undefined);
  const fetches = orderChanges(fresh, order, { rollout: 'web', run: 'r', go: false, now: T0 });
  expect(fetches.desired?.reboot).toBeUndefined();
});

test.each<[string, NixMachine, Partial<RolloutSpec>, boolean, 'updated' | 'updating']>([
  ['Never', waiting('m1', 'Never'), {}, false, 'updated'],
  ['InWindow without a window', waiting('m1', 'InWindow'), {}, true, 'updated'],
  ['WhenRequired', waiting('m1', 'WhenRequired'), { maxRebooting: 1 }, true, 'updating'],
  ['told already', restarting('m1'), {}, false, 'updating'],
  ['offline', waiting('m1', 'WhenRequired', off()), { maxRebooting: 1 }, false, 'updated'],
  ['suspended', waiting('m1', 'InWindow'), { suspend: true }, false, 'updated'],
])('a machine that needs a restart, %s', (_, one, spec, tells, counts) => {
  const plan = open(spec, [one, machine('m9', runs('m9', R1), { hold: { reason: 'x' } })]);
  expect(namesIn(plan.reboot)).toEqual(tells ? ['m1'] : []);
  expect(plan.counts).toMatchObject({ [counts]: 1, pendingReboot: counts === 'updated' ? 1 : 0 });
});

test('maxRebooting counts all machines of the namespace, and the batch waits', () => {
  const restarts = restarting('x1');
  const elsewhere = { ...restarts, spec: { ...restarts.spec, configRef: { name: 'db' } } };
  const machines = ['m1', 'm2', 'm3'].map((name) => waiting(name, 'WhenRequired'));
  const plan = open({ maxRebooting: 2, steps: [batch('100%')] }, [...machines, elsewhere]);
  expect(plan.reboot).toHaveLength(1);
  expect(plan.rebootsWaiting).toBe(2);
  expect(plan.phase).toBe('Progressing');
  const held = plan.hold.filter(({ reason }) => reason === 'GroupBudgetFull');
  expect(held.map(({ message }) => message)).toEqual([
    'restarts when there is a place: 2 of 2 restart already; raise spec.maxRebooting to go faster',
    'restarts when there is a place: 2 of 2 restart already; raise spec.maxRebooting to go faster',
  ]);
});

test.each<[Partial<RolloutSpec>, NixMachine[], string[], Record<string, string>]>([
  [
    { maxUnavailable: 1 },
    [waiting('m1', 'WhenRequired'), waiting('m2', 'WhenRequired')],
    ['m1'],
    { m1: 'InProgress', m2: 'BudgetFull' },
  ],
  [
    { maxUnavailable: 2, budgets: [{ maxUnavailable: 1 }] },
    [waiting('m1', 'WhenRequired'), waiting('m2', 'WhenRequired')],
    ['m1'],
    { m1: 'InProgress', m2: 'GroupBudgetFull' },
  ],
  [
    { maxUnavailable: 1 },
    [waiting('m1', 'WhenRequired', sick(0)), waiting('m2', 'WhenRequired')],
    ['m1'],
    { m1: 'InProgress', m2: 'BudgetFull' },
  ],
])('restarts take slots of every budget: %o', (spec, machines, names, why) => {
  const plan = open({ maxRebooting: 9, ...spec }, machines);
  // Which of the two goes first is the order's to say.
  expect(plan.reboot).toHaveLength(names.length);
  expect(Object.values(reasons(plan)).sort()).toEqual(Object.values(why).sort());
});

test('a machine that restarts takes a slot, has its time, and fails beyond it', () => {
  const plan = open({ maxUnavailable: 1 }, [restarting('m1'), machine('m2', runs('m2', R1))]);
  expect([plan.budget.unavailable, plan.dispatch]).toEqual([1, []]);
  expect(plan.nextCheck).toBe(at(31 * MINUTE));
  const late = open({ maxUnavailable: 2 }, [restarting('m1'), machine('m2', runs('m2', R1))], 31 * MINUTE);
  expect([late.phase, late.counts.failed]).toEqual(['Failed', 1]);
  expect(late.status.failures?.[0]?.message).toBe(
    'not done 30 min after its go to restart, it is still RebootRequired',
  );
});

test('a restart is left to people once the run was stopped', () => {
  const machines = [waiting('m1', 'WhenRequired'), machine('m2', failed('m2', R2, 0))];
  const plan = open({ maxRebooting: 1 }, machines);
  expect([plan.phase, plan.reboot]).toEqual(['Failed', []]);
});

test('the second word keeps the order, raises the sequence and reaches the agent', () => {
  const one = waiting('m1', 'InWindow');
  const changes = rebootChanges(one, T0 + MINUTE);
  expect(changes?.desired).toEqual({
    ...one.status?.desired,
    sequence: (T0 + MINUTE) / 1000,
    reboot: true,
    rebootSince: at(MINUTE),
  });
  const next = { ...one, status: { ...one.status, ...changes } as NonNullable<NixMachine['status']> };
  expect(desiredMessage(next, undefined, new Date(T0))).toMatchObject({ id: one.status?.desired?.id, reboot: true });
  expect(desiredMessage(one, undefined, new Date(T0))).toMatchObject({ reboot: false });
  expect(rebootChanges(machine('m1', runs('m1', R1)), T0)).toBeUndefined();
});
