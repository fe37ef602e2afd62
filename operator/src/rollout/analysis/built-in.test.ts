// Tests of the built-in check as it is on by default: what fails a run that is watched, and what is a false alarm.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import type { Plan } from '../plan-result.ts';
import {
  at,
  batch,
  fleet,
  MINUTE,
  machine,
  namesIn,
  off,
  pause,
  planScene,
  R1,
  R2,
  running,
  runs,
  sick,
  told,
  took,
} from '../rollout.fixture.ts';

/** m1 to m`has` have R2 since T0, the others of six have R1. */
const first = (has: number, more: Partial<Record<string, object>> = {}): NixMachine[] =>
  fleet(6).map((one, i) => {
    const { name } = one.metadata;
    const own = more[name] ?? {};
    return machine(name, i < has ? { ...took(name, R2, 0), ...own } : { ...runs(name, R1), ...own });
  });

const watched = { analysis: { run: 'run1', builtIn: { turnedBad: 0 } } };
const steps = [batch(1), batch(4)];

type Look = {
  readonly spec?: Partial<RolloutSpec>;
  readonly status?: RolloutStatus;
  readonly machines: readonly NixMachine[];
  readonly now?: number;
};

/** The run is at its second batch, which takes four, and began it a second after T0. */
function look({ spec, status, machines, now = 6 * MINUTE }: Look): Plan {
  const step = { index: 1, total: 3, startedAt: at(1000), toldBefore: 1, failedBefore: 0, size: 4 };
  const before = status ?? running({ step, ...watched });
  return planScene({ spec: { steps, maxUnavailable: 3, ...spec }, machines, status: before, now });
}

test.each<[string, Partial<RolloutSpec>, true | undefined, boolean]>([
  ['a batch before the last one', { steps: [batch(1)] }, true, true],
  ['several batches', { steps: [pause(), batch('10%'), pause(), batch(2)] }, true, true],
  ['no steps', {}, true, false],
  ['one batch of all', { steps: [pause(), batch('100%')] }, true, false],
  ['builtIn false', { steps: [batch(1)], analysis: { builtIn: false } }, true, false],
  ['floe plan over files', { steps: [batch(1)] }, undefined, false],
])('a run is watched from its beginning, or not: %s', (_, spec, watches, expected) => {
  const snapshot = watches === undefined ? {} : { watches };
  const { status } = planScene({ spec, machines: fleet(6), snapshot });
  expect(status.analysis?.builtIn).toEqual(expected ? { turnedBad: 0 } : undefined);
  // Whoever plans next, and whatever begins no watch, goes on with it.
  expect(planScene({ spec, machines: fleet(6), status }).status.analysis).toEqual(status.analysis);
});

test('a run that goes back to the stable revision is not watched', () => {
  const status = running({ revision: R2, ...watched });
  const plan = planScene({ spec: { steps }, machines: first(2), status, revision: R1, snapshot: { watches: true } });
  expect(plan.status).toMatchObject({ revision: R1 });
  expect(planScene({ spec: { steps }, machines: first(2), status: plan.status, revision: R1 }).phase).toBe(
    'Progressing',
  );
});

const flapping = (count: number, since: number): object => {
  const comebacks = { desiredId: took('m1', R2, 0).attempt?.desiredId ?? '', count };
  return { connection: { online: true, since: at(since), comebacks } };
};

test.each<[string, object, string]>([
  ['a unit fails soon after its update', sick(5 * MINUTE), 'm1: hello.service failed 5 min after its update'],
  ['it is bad, then off', { ...sick(MINUTE), ...off(2 * MINUTE) }, 'm1: hello.service failed 1 min after its update'],
  ['it comes back again and again', flapping(3, 4 * MINUTE), 'm1: lost its connection 3 times within 10 min of'],
])('fails the run: %s', (_, more, message) => {
  const plan = look({ machines: first(1, { m1: more }) });
  expect(plan).toMatchObject({ phase: 'Failed', dispatch: [] });
  expect(plan.status.stopped?.message).toContain(message);
  expect(plan.status.analysis?.builtIn).toMatchObject({ turnedBad: 1, machines: ['m1'] });
  expect(plan.status.analysis?.cause).toContain(message);
});

test.each<[string, Partial<Record<string, object>>, Partial<RolloutSpec>?]>([
  ['nothing happens', {}],
  ['it was sick before its update', { m1: sick(-MINUTE) }],
  ['one that does not have it yet is sick', { m5: sick(5 * MINUTE) }],
  ['it turns bad when its update is long ago', { m1: sick(11 * MINUTE) }],
  ['a laptop closes its lid', { m1: off(5 * MINUTE) }],
  ['it came back twice', { m1: flapping(2, 4 * MINUTE) }],
  ['it comes and goes when its update is long ago', { m1: flapping(5, 11 * MINUTE) }],
  [
    'everyone comes back at once: a replica has died',
    {
      m1: flapping(3, 4 * MINUTE),
      ...Object.fromEntries(
        ['m2', 'm3', 'm4'].map((name) => [name, { connection: { online: true, since: at(4 * MINUTE) } }]),
      ),
    },
  ],
  ['onFailure is Continue', { m1: sick(5 * MINUTE) }, { onFailure: 'Continue' }],
  ['the threshold allows it', { m1: sick(5 * MINUTE) }, { successThreshold: 0 }],
  ['it is turned off', { m1: sick(5 * MINUTE) }, { analysis: { builtIn: false } }],
])('no failure, and nobody is held up: %s', (_, more, spec = {}) => {
  const plan = look({ machines: first(1, more), spec, now: 12 * MINUTE });
  expect(plan.phase).toBe('Progressing');
  // As many are told as without it.
  const { analysis: _analysis, ...bare } = running({
    step: { index: 1, total: 3, startedAt: at(1000), toldBefore: 1, failedBefore: 0, size: 4 },
  });
  const without = look({ machines: first(1, more), spec, status: bare, now: 12 * MINUTE });
  expect([plan.dispatch, plan.hold, plan.nextCheck]).toEqual([without.dispatch, without.hold, without.nextCheck]);
  expect(plan.dispatch.length).toBeGreaterThan(0);
});

test('a machine that people carry about may come and go', () => {
  const [m1, ...others] = first(1, { m1: flapping(3, 4 * MINUTE) });
  const carried = { ...m1, spec: { ...m1?.spec, activation: { confirm: 'WhenOnline' } } } as NixMachine;
  expect(look({ machines: [carried, ...others] }).phase).toBe('Progressing');
});

test('one that somebody holds to work on it does not count', () => {
  const [m1, ...others] = first(1, { m1: sick(5 * MINUTE) });
  const held = { ...m1, spec: { ...m1?.spec, hold: { reason: 'repair' } } } as NixMachine;
  expect(look({ machines: [held, ...others] }).phase).toBe('Progressing');
});

test.each([
  [100, 1, 'Failed'],
  [75, 1, 'Progressing'],
  [75, 2, 'Failed'],
  [50, 2, 'Progressing'],
])(
  'threshold %i: %i of the four of the batch in hand turn bad while others are updated: %s',
  (threshold, bad, phase) => {
    const turned = Object.fromEntries(
      ['m2', 'm3'].map((name, i) => [name, { ...took(name, R2, 2000), ...(i < bad ? sick(MINUTE) : {}) }]),
    );
    const m4 = { ...runs('m4', R1), ...told('m4', R2, 2000, { phase: 'Testing' }) };
    const machines = first(3, { ...turned, m4 });
    expect(look({ machines, spec: { successThreshold: threshold, maxUnavailable: 6 } }).phase).toBe(phase);
  },
);

test('the canary that turns bad later is not lost among those of the batch in hand', () => {
  const machines = first(1, { m1: sick(MINUTE) });
  expect(look({ machines, spec: { successThreshold: 80 } }).phase).toBe('Failed');
});

test('with onFailure Rollback it goes back; continue accepts who has turned bad, not who does later', () => {
  const machines = first(1, { m1: sick(MINUTE) });
  const back = look({ machines, spec: { onFailure: 'Rollback' } });
  expect([back.phase, namesIn(back.rollback)]).toEqual(['RollingBack', ['m1']]);
  const failed = look({ machines });
  const scene = (all: readonly NixMachine[], status: RolloutStatus, value?: string) =>
    planScene({
      spec: { steps, maxUnavailable: 3 },
      machines: all,
      status,
      now: 8 * MINUTE,
      ...(value === undefined ? {} : { annotations: { 'floe.dev/continue': value } }),
    });
  const goesOn = scene(machines, failed.status, '1');
  expect(goesOn).toMatchObject({ phase: 'Progressing', status: { analysis: { builtIn: { turnedBad: 0 } } } });
  const later = first(1, { m1: sick(9 * MINUTE) });
  expect(scene(later, goesOn.status, '1').phase).toBe('Failed');
});

test('a machine that gets well again is bad no more: nothing of it is left in the status', () => {
  const spec = { successThreshold: 50 };
  const bad = look({ machines: first(1, { m1: sick(MINUTE) }), spec: { ...spec, onFailure: 'Continue' } });
  expect(bad.status.analysis?.builtIn).toEqual({
    turnedBad: 1,
    machines: ['m1'],
    message: 'm1: hello.service failed 1 min after its update',
  });
  const well = look({ machines: first(1), spec, status: bad.status });
  expect(well.status.analysis?.builtIn).toEqual({ turnedBad: 0 });
});
