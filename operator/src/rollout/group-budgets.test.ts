// Budgets over all machines of a namespace: limits, groups, whose machines count, who is bound.
import type { DisruptionBudget } from '@floe/crds/budget';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import { limitOf } from './group-budgets.ts';
import {
  at,
  batch,
  failed,
  fleet,
  MINUTE,
  machine,
  namesIn,
  off,
  planScene,
  R1,
  R2,
  reasons,
  rollout,
  running,
  runs,
  sick,
  told,
  took,
} from './rollout.fixture.ts';

const replica = (name: string, service: string | undefined, status = runs(name, R1)): NixMachine =>
  machine(name, status, service === undefined ? {} : { labels: { service } });

/** A machine of another NixConfig. */
const stranger = (name: string, labels: Record<string, string>, status = runs(name, R1)): NixMachine => {
  const made = machine(name, status, { labels });
  return { ...made, spec: { ...made.spec, configRef: { name: 'db' } } };
};

test.each<[Partial<DisruptionBudget>, number, number]>([
  [{ maxUnavailable: 2 }, 10, 2],
  [{ maxUnavailable: 2 }, 1, 2],
  [{ maxUnavailable: '34%' }, 10, 3],
  [{ maxUnavailable: '1%' }, 10, 1],
  [{ maxUnavailable: '100%' }, 3, 3],
  [{ minAvailable: 2 }, 3, 1],
  [{ minAvailable: 3 }, 3, 0],
  [{ minAvailable: 4 }, 3, 0],
  [{ minAvailable: '50%' }, 3, 1],
  [{ minAvailable: '50%' }, 4, 2],
  [{ minAvailable: '51%' }, 100, 49],
  [{ minAvailable: '1%' }, 1, 0],
  [{ minAvailable: '100%' }, 5, 0],
  [{}, 5, 0],
])('of %o in a group of %i there may be unavailable: %i', (budget, total, limit) => {
  expect(limitOf(budget as DisruptionBudget, total)).toBe(limit);
});

const PER_SERVICE: DisruptionBudget = { name: 'replicas', groupBy: 'service', maxUnavailable: 1 };

test('replicas of one service are never told together, whatever the batch takes', () => {
  const machines = ['a1', 'a2', 'a3', 'b1', 'b2'].map((name) => replica(name, name.slice(0, 1)));
  const plan = planScene({ machines, spec: { maxUnavailable: '100%', budgets: [PER_SERVICE] } });
  expect(plan.dispatch.map(({ machine: name }) => name.slice(0, 1)).sort()).toEqual(['a', 'b']);
  const held = plan.hold.filter(({ reason }) => reason === 'GroupBudgetFull');
  expect(held).toHaveLength(3);
  const [first] = plan.dispatch.filter(({ machine: name }) => name.startsWith('a'));
  expect(held.find(({ machine: name }) => name.startsWith('a'))?.message).toBe(
    `budget replicas for service=a: 1 of 1 unavailable already (${first?.machine}); repair what is broken or raise its maxUnavailable`,
  );
  expect(plan.budget).toEqual({ limit: 5, unavailable: 0, free: 5 });
});

test('a batch takes the next machine in order whose group has a slot', () => {
  const machines = [replica('a1', 'a', off()), replica('a2', 'a'), replica('b1', 'b')].map((m) => ({
    ...m,
    metadata: { ...m.metadata, labels: { ...m.metadata.labels, 'topology.kubernetes.io/zone': m.metadata.name } },
  }));
  const plan = planScene({ machines, spec: { maxUnavailable: 3, steps: [batch(1)], budgets: [PER_SERVICE] } });
  expect(namesIn(plan.dispatch)).toEqual(['b1']);
  expect(reasons(plan)).toEqual({ a1: 'Offline', a2: 'GroupBudgetFull' });
});

test('machines without the label are outside of a budget by group', () => {
  const plan = planScene({
    machines: [replica('x', undefined), replica('y', undefined)],
    spec: { maxUnavailable: 2, budgets: [PER_SERVICE] },
  });
  expect(namesIn(plan.dispatch)).toEqual(['x', 'y']);
});

test.each<[string, NixMachine, boolean]>([
  ['is off since before its go', stranger('db2', { app: 'db' }, { ...runs('db2', R1), ...off() }), true],
  ['was never seen', stranger('db2', { app: 'db' }, {}), true],
  ['is sick', stranger('db2', { app: 'db' }, { ...runs('db2', R1), ...sick() }), true],
  [
    'is switched by another Rollout',
    stranger('db2', { app: 'db' }, { ...runs('db2', R1), ...told('db2', R2, 0) }),
    true,
  ],
  [
    'only fetches',
    stranger('db2', { app: 'db' }, { ...runs('db2', R1), ...told('db2', R2, 0, { phase: 'Fetching' }, { go: false }) }),
    false,
  ],
  ['is healthy', stranger('db2', { app: 'db' }), false],
  ['is not of the budget', stranger('db2', { app: 'web' }, off()), false],
  [
    'is being deleted',
    {
      ...stranger('db2', { app: 'db' }, off()),
      metadata: { name: 'db2', namespace: 'shop', deletionTimestamp: at(0) },
    },
    false,
  ],
])('a machine of another config that %s: %#', (_, other, holds) => {
  const quorum: DisruptionBudget = { name: 'quorum', selector: { matchLabels: { app: 'db' } }, maxUnavailable: 1 };
  const plan = planScene({
    machines: [machine('db1', runs('db1', R1), { labels: { app: 'db' } }), other],
    spec: { budgets: [quorum] },
  });
  expect(namesIn(plan.dispatch)).toEqual(holds ? [] : ['db1']);
  if (!holds) return;
  expect(plan.hold).toEqual([
    {
      machine: 'db1',
      reason: 'GroupBudgetFull',
      message: 'budget quorum: 1 of 1 unavailable already (db2); repair what is broken or raise its maxUnavailable',
    },
  ]);
  expect(plan.conditions.find(({ type }) => type === 'Ready')?.message).toBe(
    'batch of all: db1 waits for a budget of the namespace',
  );
});

test('a budget binds Rollouts that do not name it', () => {
  const other: Rollout = rollout({ budgets: [{ maxUnavailable: 1 }] }, undefined, { name: 'db', uid: 'u-db' });
  other.spec = { ...other.spec, configRef: { name: 'db' } };
  const machines = [...fleet(2), stranger('db1', {}, off())];
  const plan = planScene({ machines, spec: { maxUnavailable: 2 }, others: [other] });
  expect(namesIn(plan.dispatch)).toEqual([]);
  expect(plan.hold[0]?.message).toMatch(/^budget budgets\[0\] of Rollout db: 1 of 1 unavailable already \(db1\)/);
});

test('a group that must stay whole is never moved, and says so', () => {
  const plan = planScene({ machines: fleet(3), spec: { budgets: [{ name: 'all', minAvailable: '100%' }] } });
  expect(plan.dispatch).toEqual([]);
  expect(plan.hold[0]?.message).toBe('budget all: all 3 must stay available; lower its minAvailable or add machines');
});

test('a sick machine uses the slot that it holds, in a budget of the namespace too', () => {
  const machines = [machine('m1', { ...runs('m1', R1), ...sick() }), machine('m2', runs('m2', R1))];
  const plan = planScene({ machines, spec: { maxUnavailable: 2, budgets: [{ maxUnavailable: 1 }] } });
  expect(namesIn(plan.dispatch)).toEqual(['m1']);
  expect(reasons(plan)).toEqual({ m2: 'GroupBudgetFull' });
});

test('rollbacks keep to the budgets of the namespace', () => {
  const machines = ['m1', 'm2', 'm3']
    .map((name, i) => took(name, R2, i * MINUTE))
    .map((status, i) => machine(`m${i + 1}`, status));
  const plan = planScene({
    machines: [...machines, machine('m4', failed('m4', R2, 0))],
    spec: { maxUnavailable: 4, budgets: [{ maxUnavailable: 2 }] },
    status: running({ phase: 'RollingBack', rollback: { to: R1, startedAt: at(5 * MINUTE) } }),
    now: 6 * MINUTE,
  });
  expect(namesIn(plan.rollback)).toEqual(['m2', 'm3']);
  expect(reasons(plan)).toEqual({ m1: 'GroupBudgetFull', m4: 'Failed' });
});

test('what an old API server let through is no budget', () => {
  const wrong = [{ maxUnavailable: 1, minAvailable: 1 }, {}] as DisruptionBudget[];
  const other = rollout({ budgets: wrong, configRef: { name: 'db' } }, undefined, { name: 'db', uid: 'u-db' });
  expect(namesIn(planScene({ machines: fleet(1), others: [other] }).dispatch)).toEqual(['m1']);
  const own = planScene({ machines: fleet(1), spec: { budgets: wrong } });
  expect(own.conditions.find(({ type }) => type === 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'InvalidSpec',
  });
});
