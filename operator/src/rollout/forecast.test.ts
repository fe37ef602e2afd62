// The forecast: the whole course of a run, with waits said, and always the same.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec } from '@floe/crds/rollout';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closuresOf } from './closures.ts';
import { type Course, type ForecastOptions, forecast } from './forecast.ts';
import { paceOf } from './forecast-pace.ts';
import {
  at,
  batch,
  config,
  failed,
  fleet,
  MINUTE,
  machine,
  off,
  pause,
  R1,
  R2,
  rollout,
  running,
  runs,
  type Scene,
  T0,
  told,
  took,
} from './rollout.fixture.ts';

function courseOf(scene: Scene, options?: ForecastOptions): Course {
  const own = rollout(scene.spec, scene.status);
  return forecast(
    {
      rollout: own,
      rollouts: [own],
      config: config('revision' in scene ? scene.revision : R2),
      machines: scene.machines,
      closures: closuresOf([], 'web', 'built'),
      ...scene.snapshot,
    },
    new Date(T0 + (scene.now ?? 0)),
    options,
  );
}

/** `minutes step phase told/fetched/returned`, or the wait. */
const lines = ({ waves }: Course): string[] =>
  waves.map(({ at: when, step, phase, dispatch, fetch, rollback, waitsFor }) => {
    const minutes = (Date.parse(when) - T0) / MINUTE;
    const moved = `${dispatch.length}/${fetch.length}/${rollback.length}`;
    return `${minutes} ${step} ${phase} ${waitsFor ?? moved}`;
  });

const online: Partial<NonNullable<Scene['spec']>> = { maxUnavailable: '50%' };

test('canary, soak, pause with a duration, the rest in waves, the end', () => {
  const course = courseOf({
    spec: { ...online, steps: [batch(1, { soak: '10m' }), pause('30m'), batch('100%')] },
    machines: fleet(4),
  });
  expect(lines(course)).toEqual([
    '0 0 Progressing 1/0/0',
    '2 0 Progressing batch of 1: 1 soaks until 12:12 UTC',
    '12 1 Paused paused until 12:42 UTC',
    '42 2 Progressing 2/0/0',
    '44 2 Progressing 1/0/0',
  ]);
  expect(course.end).toEqual({
    kind: 'ended',
    at: at(46 * MINUTE),
    phase: 'Completed',
    message: 'up to date: all 4 have 2222222',
  });
  expect([course.revision, course.left, course.approved]).toEqual([R2, [], false]);
});

test('a pause without a duration ends the course; taken as approved, it goes on', () => {
  const scene = { spec: { ...online, steps: [batch(1), pause()] }, machines: fleet(3) };
  const waits = 'waiting for approval: kubectl floe approve web -n shop';
  expect(courseOf(scene).end).toEqual({ kind: 'waits', at: at(2 * MINUTE), phase: 'Paused', waitsFor: waits });
  const course = courseOf(scene, { approved: true });
  expect(lines(course)).toEqual([
    '0 0 Progressing 1/0/0',
    `2 1 Paused ${waits}`,
    '2 2 Progressing 1/0/0',
    '4 2 Progressing 1/0/0',
  ]);
  expect([course.end.kind, course.approved]).toEqual(['ended', true]);
});

test.each<[string, Scene, string]>([
  ['nothing is built', { revision: undefined, machines: fleet(1) }, 'waiting for NixConfig web to be built'],
  ['suspended', { spec: { suspend: true }, machines: fleet(1) }, 'suspended at step 1/1: spec.suspend is true'],
  [
    'the last one is offline',
    { machines: [...fleet(1), machine('m2', runs('m2', R1, off()))] },
    'last batch: m2 waits to come back online',
  ],
])('waits: %s', (_, scene, waitsFor) => {
  // A run that waits is no run that ended, also where approvals are given.
  for (const approved of [false, true]) {
    const { end } = courseOf(scene, { approved });
    expect([end.kind, 'waitsFor' in end && end.waitsFor.replace('batch of all', 'last batch')]).toEqual([
      'waits',
      waitsFor,
    ]);
  }
});

test('windows are waited for, analysis counts as good', () => {
  const metric = { prometheus: { address: 'http://p:9090', query: 'up' }, interval: '1m', count: 3 };
  const course = courseOf({
    spec: {
      ...online,
      steps: [batch(1), { analysis: metric }],
      windows: [{ cron: '0 22 * * *', duration: '1h' }],
      analysis: { metrics: [{ name: 'errors', ...metric }] },
    },
    machines: fleet(2),
  });
  const night = 10 * 60;
  expect(lines(course).map((line) => line.replace(/(\d) (Progressing|Paused) (?!\d+\/).*/, '$1 $2 …'))).toEqual([
    '0 0 Progressing 0/1/0',
    '1 0 Progressing …',
    `${night} 0 Progressing 1/0/0`,
    expect.stringMatching(/^601\S* 1 Progressing …$/),
    expect.stringMatching(/^603\S* 2 Progressing 1\/0\/0$/),
  ]);
  expect(course.end.phase).toBe('Completed');
});

test('users that are asked: the course goes on at the limit of their machine', () => {
  const asked = machine('m1', runs('m1', R1));
  const machines = [{ ...asked, spec: { ...asked.spec, activation: { consent: 'Ask' as const, deferLimit: '2h' } } }];
  const course = courseOf({ machines });
  expect(lines(course)).toEqual([
    '0 0 Progressing 0/1/0',
    expect.stringMatching(/^1 0 Progressing .*m1/),
    expect.stringMatching(/^12\d 0 Progressing 1\/0\/0$/),
  ]);
  expect(course.end.phase).toBe('Completed');
});

test('offline machines are left with their reason where the run completes without them', () => {
  const course = courseOf({ spec: { offline: 'Skip' }, machines: [...fleet(1), machine('m2', runs('m2', R1, off()))] });
  expect(lines(course)).toEqual(['0 0 Progressing 0/1/0', '1 0 Progressing 1/0/0']);
  expect([course.end.phase, course.left]).toEqual([
    'Completed',
    [{ machine: 'm2', reason: 'Offline', message: 'offline, follows on return' }],
  ]);
});

test('machines that were told already answer in their time; one that is off with its go runs out of it', () => {
  const inHand = machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, { phase: 'Fetching' }) });
  const status = running({ step: { index: 0, total: 1, startedAt: at(0), toldBefore: 0 } });
  expect(courseOf({ status, machines: [inHand], now: MINUTE }).end.at).toBe(at(2 * MINUTE));
  const gone = machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0), ...off(10_000) });
  expect(courseOf({ status, machines: [gone], now: MINUTE }).end).toMatchObject({
    at: at(30 * MINUTE),
    phase: 'Failed',
    message: 'm1: not done 30 min after its go, and it is offline',
  });
});

test('a run that is taken back says who returns', () => {
  const status = running({
    phase: 'RollingBack',
    rollback: { to: R1, startedAt: at(MINUTE) },
    step: { index: 0, total: 1, startedAt: at(0), toldBefore: 0 },
  });
  const machines = [machine('m1', took('m1', R2, 0)), machine('m2', failed('m2', R2, 0))];
  const course = courseOf({ status, machines, now: 2 * MINUTE });
  expect(course.waves.map(({ rollback }) => rollback)).toEqual([[{ machine: 'm1', closure: `${R1}/m1` }]]);
  expect(course.end.phase).toBe('Failed');
});

test('a course that is too long is cut, and says so', () => {
  const scene = { spec: { maxUnavailable: 1 }, machines: fleet(40) };
  expect(courseOf(scene, { looks: 400 }).end.kind).toBe('cut');
  const paused = { spec: { steps: [batch(1), pause('72h')] }, machines: fleet(3) };
  expect(courseOf(paused, { horizonMs: 24 * 60 * MINUTE }).end.kind).toBe('cut');
});

test('the pace is the median of what machines took, without times that can not be true', () => {
  const after = (name: string, seconds: number) =>
    machine(name, {
      ...runs(name, R2),
      ...told(name, R2, 0, { phase: 'Committed', startedAt: at(0), finishedAt: at(seconds * 1000) }),
    });
  // One clock is behind, one is ahead.
  const machines = [after('a', 10), after('b', 20), after('c', 300), after('d', -50), after('f', 9e6), machine('e')];
  expect(paceOf(machines, T0 + 10 * MINUTE)).toEqual({ fetchMs: 1000, goMs: 20_000, switchMs: 20_000, known: 3 });
  expect(paceOf([], T0).known).toBe(0);
});

const size = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constantFrom('10%', '50%', '100%'));
const step = fc.oneof(
  fc.tuple(size, fc.constantFrom('0s', '5m')).map(([n, soak]) => batch(n, { soak })),
  fc.constantFrom(pause('10m'), pause()),
);
const machines = fc
  .array(fc.constantFrom('on', 'on', 'on', 'off', 'hold', 'done'), { minLength: 1, maxLength: 12 })
  .map((kinds) => kinds.map((kind, i) => ofKind(`m${i}`, kind)));

function ofKind(name: string, kind: string): NixMachine {
  if (kind === 'hold') return machine(name, runs(name, R1), { hold: { reason: 'x', until: at(50 * MINUTE) } });
  if (kind === 'off') return machine(name, runs(name, R1, off()));
  return machine(name, runs(name, kind === 'done' ? R2 : R1));
}

test('every course ends, tells each machine once, in time and within the budget, whatever the order of the input', () => {
  const spec = fc.record({
    steps: fc.array(step, { maxLength: 4 }),
    maxUnavailable: fc.integer({ min: 1, max: 3 }),
    offline: fc.constantFrom('Skip' as const, 'Wait' as const),
    windows: fc.constantFrom<NonNullable<RolloutSpec['windows']>[]>(
      [],
      [{ cron: '0 22 * * *', duration: '1h', timeZone: 'Europe/Berlin' }],
      [
        { cron: '*/30 * * * *', duration: '10m', actions: ['Switch'] },
        { cron: '0 3 * * 6', duration: '2h', actions: ['Download'] },
      ],
    ),
    freezes: fc.constantFrom<NonNullable<RolloutSpec['freezes']>[]>(
      [],
      [{ from: at(5 * MINUTE), to: at(600 * MINUTE), reason: 'holiday' }],
    ),
  });
  fc.assert(
    fc.property(spec, machines, fc.boolean(), (given, list, approved) => {
      const course = courseOf({ spec: given, machines: list }, { approved });
      const names = course.waves.flatMap(({ dispatch }) => dispatch.map((one) => one.machine));
      const times = course.waves.map(({ at: when }) => Date.parse(when));
      expect(new Set(names).size).toBe(names.length);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(course.waves.every(({ dispatch }) => dispatch.length <= given.maxUnavailable)).toBe(true);
      expect(course.end.kind).not.toBe('cut');
      if (course.end.kind === 'waits') expect(course.end.waitsFor).not.toBe('');
      expect(courseOf({ spec: given, machines: list.toReversed() }, { approved })).toEqual(course);
    }),
    { numRuns: 150 },
  );
});
