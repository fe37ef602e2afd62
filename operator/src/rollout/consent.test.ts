// Consent in the planner: fetch first, wait for the users or the limit, and let the others go on.
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import {
  at,
  batch,
  failed,
  fleet,
  MINUTE,
  machine,
  namesIn,
  planScene,
  R1,
  R2,
  reasons,
  running,
  runs,
  told,
} from './rollout.fixture.ts';

const HOUR = 60 * MINUTE;

function asking(name: string, status: NixMachineStatus, more: object = {}): NixMachine {
  const plain = machine(name, status);
  return { ...plain, spec: { ...plain.spec, activation: { consent: 'Ask', ...more } } };
}

/** Told at T0 to fetch R2, and has fetched it. */
const fetched = (name: string, answer?: object): NixMachineStatus => ({
  ...runs(name, R1),
  ...told(name, R2, 0, { phase: 'Fetched' }, { go: false }),
  ...(answer === undefined ? {} : { consent: { desiredId: `${name}-${R2}-0`, at: at(MINUTE), ...answer } as never }),
});

test('who asks its people fetches first; the others go at once', () => {
  const plan = planScene({
    spec: { maxUnavailable: 5 },
    machines: [asking('m1', runs('m1', R1)), ...fleet(2).slice(1)],
  });
  expect([namesIn(plan.fetch), namesIn(plan.dispatch)]).toEqual([['m1'], ['m2']]);
});

test.each<[string, object | undefined, object, number, boolean]>([
  ['nobody has answered', undefined, {}, HOUR, false],
  ['asked', { state: 'Asked' }, {}, HOUR, false],
  ['put off', { state: 'Deferred', until: at(2 * HOUR) }, {}, HOUR, false],
  ['put off, and that is over: asked again, not switched', { state: 'Deferred', until: at(HOUR) }, {}, 2 * HOUR, false],
  ['approved', { state: 'Approved' }, {}, HOUR, true],
  ['approved, but another order', { state: 'Approved', desiredId: 'other' }, {}, HOUR, false],
  ['the limit of 72 h', undefined, {}, 72 * HOUR, true],
  ['just before it', undefined, {}, 72 * HOUR - 1, false],
  ['a limit of its own', { state: 'Asked' }, { deferLimit: '30m' }, HOUR, true],
  ['no deferral passes the limit', { state: 'Deferred', until: at(9 * HOUR) }, { deferLimit: '1h' }, HOUR, true],
])('%s', (_, answer, activation, now, goes) => {
  const plan = planScene({ machines: [asking('m1', fetched('m1', answer), activation)], status: running(), now });
  expect([namesIn(plan.dispatch), reasons(plan)]).toEqual(goes ? [['m1'], {}] : [[], { m1: 'WaitingForUser' }]);
});

test('time alone brings the go at the limit; the Rollout says who it waits for', () => {
  const plan = planScene({
    machines: [asking('m1', fetched('m1'), { deferLimit: '2h' })],
    status: running(),
    now: HOUR,
  });
  expect(plan.nextCheck).toBe(at(2 * HOUR));
  expect(plan.conditions.find(({ type }) => type === 'Ready')?.message).toContain('m1 waits for a yes of their users');
  expect(plan.hold[0]?.message).toContain('switches by itself at');
});

test('a machine that waits for its people takes no place in the batch', () => {
  const machines = [asking('m1', fetched('m1')), ...fleet(3).slice(1)];
  const plan = planScene({ spec: { steps: [batch(1)], maxUnavailable: 5 }, machines, status: running(), now: HOUR });
  expect([plan.dispatch.length, reasons(plan)['m1']]).toEqual([1, 'WaitingForUser']);
});

test('a retry asks anew', () => {
  const machines = [asking('m1', failed('m1', R2, 0))];
  const status = running({ step: { index: 0, total: 1, startedAt: at(0) } });
  const plan = planScene({ machines, status, annotations: { 'floe.dev/retry': at(HOUR) }, now: HOUR });
  expect([namesIn(plan.fetch), namesIn(plan.dispatch)]).toEqual([['m1'], []]);
});
