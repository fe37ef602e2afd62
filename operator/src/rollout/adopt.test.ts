// Machines that run the closure without having been told it.
import { expect, test } from 'vitest';
import { closure, machine, off, planScene, R1, R2, runs, told } from './rollout.fixture.ts';

const named = (plan: ReturnType<typeof planScene>) => plan.adopt.map(({ machine: name, revision }) => [name, revision]);

test('a machine that ran the closure before anybody told it is named with its revision', () => {
  const plan = planScene({ machines: [machine('m1', runs('m1', R2))] });
  expect([plan.phase, plan.dispatch]).toEqual(['Completed', []]);
  expect(named(plan)).toEqual([['m1', R2]]);
});

/** An order for what m1 runs, given when that was called by an older revision. */
const older = {
  id: 'a',
  sequence: 1,
  revision: R1,
  closure: closure(R2, 'm1'),
  reason: 'Rollout',
  go: true,
  since: '2026-01-01T00:00:00Z',
};

test('an order that names an older revision of the same closure is written anew, once', () => {
  const status = runs('m1', R2);
  expect(named(planScene({ machines: [machine('m1', { ...status, desired: older })] }))).toEqual([['m1', R2]]);
  expect(named(planScene({ machines: [machine('m1', { ...status, desired: { ...older, revision: R2 } })] }))).toEqual(
    [],
  );
});

test.each([
  ['offline', machine('m1', { ...runs('m1', R2), ...off() })],
  ['on hold', machine('m1', runs('m1', R2), { hold: { reason: 'debugging' } })],
  ['busy with the order itself', machine('m1', { ...runs('m1', R2), ...told('m1', R2, 0) })],
])('nothing is written for a machine that is %s', (_, given) => {
  expect(named(planScene({ machines: [given] }))).toEqual([]);
});

test('a machine that waits for its restart is told that alone: another order would take its place', () => {
  const desired = { ...older, rollout: 'web', reason: 'Rollback' };
  const attempt = {
    desiredId: older.id,
    to: older.closure,
    phase: 'RebootRequired',
    startedAt: '2026-01-01T00:00:01Z',
  } as const;
  const given = machine('m1', { ...runs('m1', R2), desired, attempt });
  const scene = (reboot: 'WhenRequired' | 'Never') =>
    planScene({ machines: [{ ...given, spec: { ...given.spec, activation: { reboot } } }] });
  const restarts = scene('WhenRequired');
  expect(restarts.reboot.map(({ machine: name }) => name)).toEqual(['m1']);
  expect(named(restarts)).toEqual([]);
  expect(named(scene('Never')), 'a restart that nobody allows is waited for by nobody').toEqual([['m1', R2]]);
});

test('nothing is written before the run is complete', () => {
  const plan = planScene({ machines: [machine('m1', runs('m1', R2)), machine('m2', runs('m2', R1))] });
  expect(plan.phase).toBe('Progressing');
  expect(named(plan)).toEqual([]);
});
