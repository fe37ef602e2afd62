// What a Rollout says while machines follow after the end of its run, and slots of machines that are done.
import type { NixMachine } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { kstatusOf } from '../conditions/kstatus.fixture.ts';
import type { Plan } from './plan-result.ts';
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
  running,
  runs,
  sick,
  told,
  took,
} from './rollout.fixture.ts';
import { eventsBetween } from './rollout-events.ts';

const done = running({ phase: 'Completed', stableRevision: R2, completedAt: at(2 * MINUTE) });
const of = (name: string, status: NixMachine['status']): NixMachine => machine(name, status);
const seen = ({ status }: Plan) => kstatusOf({ metadata: { name: 'web', generation: 1 }, status });

test.each<[string, NixMachine, Record<string, string>]>([
  ['is told again by a person', of('m2', failed('m2', R2, MINUTE)), { 'floe.dev/retry': '1' }],
  ['is being switched', of('m2', { ...runs('m2', R1), ...told('m2', R2, 3 * MINUTE, { phase: 'Testing' }) }), {}],
  ['is told as a joiner', machine('m2', runs('m2', R1), { created: at(3 * MINUTE) }), {}],
])('while a machine %s, the Rollout is in progress, and its run stays complete', (_, second, annotations) => {
  const scene = { machines: [of('m1', took('m1', R2, MINUTE)), second], maxUnavailable: 2 };
  const plan = planScene({ ...scene, status: done, annotations, now: 4 * MINUTE });
  expect([plan.phase, seen(plan), plan.status.completedAt]).toEqual(['Progressing', 'InProgress', done.completedAt]);
  const end = planScene({
    machines: ['m1', 'm2'].map((name) => of(name, took(name, R2, 5 * MINUTE))),
    status: plan.status,
    now: 6 * MINUTE,
  });
  expect([end.phase, seen(end), end.status.completedAt]).toEqual(['Completed', 'Current', done.completedAt]);
  expect(eventsBetween(plan.status, end.status).map(({ reason }) => reason)).not.toContain('Completed');
});

test('machines that nobody moves leave it complete', () => {
  const offline = of('m2', { ...runs('m2', R1), ...off() });
  const plan = planScene({ machines: [of('m1', took('m1', R2, MINUTE)), offline], status: done, now: 4 * MINUTE });
  expect([plan.phase, seen(plan)]).toEqual(['Completed', 'Current']);
});

test('a status of an earlier version has no time of its end', () => {
  const { completedAt: _, ...former } = done;
  const plan = planScene({ machines: [of('m1', took('m1', R2, MINUTE))], status: former, now: 4 * MINUTE });
  expect([plan.phase, plan.status.completedAt]).toEqual(['Completed', at(4 * MINUTE)]);
});

test.each<[string, NixMachine['status'], number]>([
  ['was well and is done', took('m1', R2, 2 * MINUTE, off(3 * MINUTE)), 0],
  ['was sick when it was heard of last', took('m1', R2, 2 * MINUTE, { ...sick(2 * MINUTE), ...off(3 * MINUTE) }), 1],
  ['went back by itself, and was well', { ...failed('m1', R2, 2 * MINUTE), ...off(3 * MINUTE) }, 0],
  ['is not done', { ...runs('m1', R1), ...told('m1', R2, 2 * MINUTE, { phase: 'Testing' }), ...off(3 * MINUTE) }, 1],
  ['was not heard of since its go', { ...runs('m1', R1), ...told('m1', R2, 2 * MINUTE), ...off(3 * MINUTE) }, 1],
])('switched off, a machine that %s: slots', (_, status, slots) => {
  for (const offline of ['Wait', 'Skip'] as const) {
    const spec = { maxUnavailable: 1, successThreshold: 50, offline };
    const plan = planScene({
      spec,
      machines: [of('m1', status), ...fleet(2).slice(1)],
      status: running(),
      now: 4 * MINUTE,
    });
    expect(plan.budget.unavailable).toBe(slots);
    expect(namesIn([...plan.dispatch, ...plan.fetch])).toEqual(slots === 0 || offline === 'Skip' ? ['m2'] : []);
  }
});

test('budgets of groups count a machine that is switched off', () => {
  const spec = { maxUnavailable: 2, budgets: [{ maxUnavailable: 1 }] };
  const plan = planScene({
    spec,
    machines: [of('m1', took('m1', R2, 2 * MINUTE, off(3 * MINUTE))), ...fleet(2).slice(1)],
    status: running(),
    now: 4 * MINUTE,
  });
  expect(plan.dispatch).toEqual([]);
});

const fresh = (name: string, when: number, more: NixMachine['status'] = {}): NixMachine => {
  const status = took(name, R2, when, more);
  return of(name, { ...status, current: { closure: '', ...status.current, since: at(when) } });
};

test('minReadySeconds holds the slot until a machine has been well for so long', () => {
  const spec = { maxUnavailable: 1, minReadySeconds: 120 };
  const scene = { spec, machines: [fresh('m1', 0), ...fleet(2).slice(1)], status: running() };
  const early = planScene({ ...scene, now: 2 * MINUTE - 1 });
  expect([early.budget.unavailable, early.dispatch, early.nextCheck]).toEqual([1, [], at(2 * MINUTE)]);
  const ready = planScene({ ...scene, now: 2 * MINUTE });
  expect([ready.budget.unavailable, namesIn(ready.dispatch)]).toEqual([0, ['m2']]);
  // It counts as updated all the time: it holds a slot, not its batch.
  expect(early.counts.updated).toBe(1);
});

test('one that goes off before it was ready keeps the slot', () => {
  const spec = { maxUnavailable: 1, minReadySeconds: 120 };
  const machines = (since: number) => [fresh('m1', 0, off(since)), ...fleet(2).slice(1)];
  expect(planScene({ spec, machines: machines(MINUTE), status: running(), now: 9 * MINUTE }).budget.unavailable).toBe(
    1,
  );
  expect(
    planScene({ spec, machines: machines(3 * MINUTE), status: running(), now: 9 * MINUTE }).budget.unavailable,
  ).toBe(0);
});

test('minReadySeconds slows no way back', () => {
  const spec = { maxUnavailable: 1, minReadySeconds: 3600, onFailure: 'Rollback' as const, steps: [batch('100%')] };
  const rollback = running({ phase: 'RollingBack', rollback: { to: R1, startedAt: at(2 * MINUTE) } });
  const plan = planScene({ spec, machines: [fresh('m1', 0), fresh('m2', MINUTE)], status: rollback, now: 3 * MINUTE });
  expect(plan.rollback).toHaveLength(1);
});
