// The estimated end: what it counts, when it is corrected, and that it never causes a write.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closuresOf } from './closures.ts';
import { nextEstimate } from './estimate.ts';
import { forecast } from './forecast.ts';
import {
  at,
  batch,
  config,
  fleet,
  MINUTE,
  machine,
  off,
  pause,
  planScene,
  R1,
  R2,
  rollout,
  runs,
  type Scene,
  T0,
  told,
  took,
} from './rollout.fixture.ts';
import { newsOf } from './status-news.ts';

const minutes = (scene: Scene): number | undefined => {
  const { estimatedEnd } = planScene(scene).status;
  return estimatedEnd === undefined ? undefined : (Date.parse(estimatedEnd) - T0) / MINUTE;
};

test.each<[string, Scene, number | undefined]>([
  ['one wave of the assumed two minutes', { machines: fleet(1) }, 2],
  ['waves under the budget', { spec: { maxUnavailable: 2 }, machines: fleet(6) }, 6],
  ['ten percent, at least one', { machines: fleet(5) }, 10],
  ['the soak', { spec: { steps: [batch(1, { soak: '10m' })] }, machines: fleet(2) }, 14],
  ['a pause with a duration', { spec: { steps: [batch(1), pause('1h')] }, machines: fleet(2) }, 64],
  ['a pause for approval', { spec: { steps: [batch(1), pause()] }, machines: fleet(2) }, undefined],
  ['suspended', { spec: { suspend: true }, machines: fleet(2) }, undefined],
  ['nobody', { machines: [] }, undefined],
  [
    'machines that are off are not waited for',
    {
      machines: [
        ...fleet(1),
        machine('x', runs('x', R1, off())),
        machine('y', runs('y', R1), { hold: { reason: 'z' } }),
      ],
    },
    2,
  ],
  [
    'percent and count, then the rest',
    { spec: { maxUnavailable: 10, steps: [batch('10%'), batch(3), batch('50%')] }, machines: fleet(10) },
    8,
  ],
  [
    'labels',
    {
      spec: { maxUnavailable: 1, steps: [batch(undefined, { selector: { matchLabels: { role: 'db' } } })] },
      machines: [machine('db', runs('db', R1), { labels: { role: 'db' } }), ...fleet(2)],
    },
    6,
  ],
  [
    'a window, in time in which it is open',
    { spec: { maxUnavailable: 1, windows: [{ cron: '0 22 * * *', duration: '3m' }] }, machines: fleet(2) },
    36 * 60 - 2 * 60 + 1,
  ],
])('%s', (_, scene, expected) => {
  expect(minutes(scene)).toBe(expected);
});

test('what machines took before is what the others take', () => {
  const done = machine('a', {
    ...took('a', R2, 0),
    ...told('a', R2, 0, { phase: 'Committed', startedAt: at(0), finishedAt: at(10 * MINUTE) }),
  });
  const status = {
    revision: R2,
    run: 'r',
    startedAt: at(0),
    phase: 'Progressing' as const,
    step: { index: 0, total: 1, startedAt: at(0), toldBefore: 0 },
  };
  expect(minutes({ status, machines: [done, ...fleet(2)], now: 10 * MINUTE })).toBe(30);
});

test.each([
  ['the first', undefined, 30, 30],
  ['hardly another', 30, 32, 30],
  ['another', 30, 34, 34],
  ['one that is over', -5, 30, 30],
  ['within a minute', 2, 1, 2],
])('the estimate written: %s', (_, before, end, expected) => {
  const written = before === undefined ? undefined : at(before * MINUTE);
  expect(nextEstimate(written, T0 + end * MINUTE, T0)).toBe(at(expected * MINUTE));
});

test('it is said, and never the reason of a write', () => {
  const machines = fleet(3);
  const first = planScene({ machines }).status;
  const reconciling = first.conditions?.find(({ type }) => type === 'Reconciling');
  expect(reconciling?.message).toBe('batch of all: 1 updating; ends about 12:06 UTC');
  const later = planScene({ machines, status: first, now: 20 * MINUTE }).status;
  expect(newsOf(first, later)).toBe('none');
  const news = { ...first, estimatedEnd: at(40 * MINUTE) };
  expect(newsOf(first, news)).toBe('counters');
});

test('a run that has ended has none', () => {
  const machines = [machine('a', took('a', R2, 0))];
  const status = { revision: R2, run: 'r', startedAt: at(0), phase: 'Progressing' as const, estimatedEnd: at(MINUTE) };
  const { estimatedEnd, phase } = planScene({ machines, status, now: MINUTE }).status;
  expect([phase, estimatedEnd]).toEqual(['Completed', undefined]);
});

test('it agrees with the course, but for rounding', () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constantFrom('10%', '50%', '100%'));
  const steps = fc.array(
    fc.oneof(
      fc.tuple(sizes, fc.constantFrom('0s', '5m')).map(([size, soak]) => batch(size, { soak })),
      fc.constant(pause('20m')),
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(
      steps,
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 5 }),
      (given, count, maxUnavailable) => {
        const own = rollout({ steps: given, maxUnavailable });
        const machines = fleet(count);
        const closures = closuresOf([], 'web', 'built');
        const course = forecast(
          { rollout: own, rollouts: [own], config: config(R2), machines, closures },
          new Date(T0),
        );
        const estimate = Date.parse(planScene({ spec: own.spec, machines }).status.estimatedEnd ?? '');
        expect(course.end.kind).toBe('ended');
        expect(Math.abs(estimate - Date.parse(course.end.at))).toBeLessThanOrEqual(MINUTE);
      },
    ),
    { numRuns: 200 },
  );
});
