// Tests of verdicts: each limit, the worst of several, dry runs, and that order and restarts change nothing.
import type { AnalysisPhase, AnalysisStep, MeasurementResult } from '@floe/crds/analysis';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { T0 } from '../rollout.fixture.ts';
import {
  type AnalysisMemory,
  analysisStatus,
  freshMetric,
  type Measured,
  memoryOf,
  NOTHING,
  withMeasured,
} from './memory.ts';
import { type MetricRules, metricsOf } from './metric.ts';
import { judged, nextAt, phaseOf, worstOf } from './verdict.ts';

const prometheus = { address: 'http://p', query: 'up' };

function rules(step: Omit<AnalysisStep, 'prometheus'> = {}): MetricRules {
  return metricsOf({ prometheus, ...step }, 'step')[0] as MetricRules;
}

/** The memory of one analysis step that began at T0. */
function begun(...names: string[]): AnalysisMemory {
  const metrics = names.map(freshMetric);
  return { ...NOTHING, step: { index: 1, startedAt: T0, phase: 'Running', message: undefined, metrics } };
}

function result(number: number, what: MeasurementResult, metric = 'prometheus'): Measured {
  const measurement = { result: what, value: '1', at: T0 + number * 1000, message: undefined };
  return { run: 'r', scope: 'step', index: 1, startedAt: T0, metric, number, measurement };
}

const LETTERS: Readonly<Record<string, MeasurementResult>> = {
  s: 'Successful',
  f: 'Failed',
  i: 'Inconclusive',
  e: 'Error',
};

function after(letters: string, rule: MetricRules): AnalysisPhase {
  const measured = [...letters].map((letter, number) => result(number, LETTERS[letter] ?? 'Error'));
  const memory = withMeasured(begun('prometheus'), 'r', measured);
  return phaseOf(judged([rule], memory.step?.metrics ?? []));
}

test.each<[string, Omit<AnalysisStep, 'prometheus'>, AnalysisPhase]>([
  ['', {}, 'Running'],
  ['s', {}, 'Successful'],
  ['f', {}, 'Failed'],
  ['i', {}, 'Inconclusive'],
  ['e', {}, 'Running'],
  ['eeee', {}, 'Running'],
  ['eeeee', {}, 'Error'],
  ['eeees', {}, 'Successful'],
  ['eeeeseeee', { count: 2 }, 'Running'],
  ['eeeeseeeee', { count: 2 }, 'Error'],
  ['sf', { count: 3, failureLimit: 1 }, 'Running'],
  ['sfs', { count: 3, failureLimit: 1 }, 'Successful'],
  ['sff', { count: 3, failureLimit: 1 }, 'Failed'],
  ['ii', { count: 2, inconclusiveLimit: 2 }, 'Successful'],
  ['iii', { count: 4, inconclusiveLimit: 2 }, 'Inconclusive'],
  ['if', { count: 2 }, 'Failed'],
  ['e', { consecutiveErrorLimit: 0 }, 'Error'],
  ['ef', { consecutiveErrorLimit: 1 }, 'Failed'],
  ['f', { dryRun: true }, 'Successful'],
  ['', { dryRun: true }, 'Running'],
  ['eeeee', { dryRun: true }, 'Successful'],
])('%s with %j is %s', (letters, step, expected) => {
  expect(after(letters, rules(step))).toBe(expected);
});

const phases: AnalysisPhase[] = ['Failed', 'Error', 'Inconclusive', 'Running', 'Successful'];

test('the worst counts: failed, error, inconclusive, running, successful', () => {
  for (const [i, worse] of phases.entries()) {
    for (const better of phases.slice(i)) {
      expect(worstOf([better, worse])).toBe(worse);
      expect(worstOf([worse, better])).toBe(worse);
    }
  }
  expect(worstOf([])).toBe('Successful');
});

test('the first measurement waits for initialDelay, the next for the interval, after an error 10 s', () => {
  const rule = rules({ interval: '5m', initialDelay: '1m', count: 3 });
  const next = (letters: string) => {
    const measured = [...letters].map((letter, number) => result(number, LETTERS[letter] ?? 'Error'));
    const [one] = judged([rule], withMeasured(begun('prometheus'), 'r', measured).step?.metrics ?? []);
    return one === undefined ? undefined : nextAt(one, T0);
  };
  expect(next('')).toBe(T0 + 60_000);
  expect(next('s')).toBe(T0 + 300_000);
  expect(next('se')).toBe(T0 + 1000 + 10_000);
  expect(next('sss')).toBeUndefined();
  expect(next('f')).toBeUndefined();
});

test('what several metrics have in common stands beside them', () => {
  const list = metricsOf(
    {
      interval: '10s',
      count: 5,
      metrics: [
        { name: 'a', prometheus },
        { name: 'b', prometheus, count: 2 },
      ],
    },
    'step',
  );
  expect(list.map(({ name, intervalMs, count }) => [name, intervalMs, count])).toEqual([
    ['a', 10_000, 5],
    ['b', 10_000, 2],
  ]);
  expect(metricsOf({ prometheus }, 'step')[0]).toMatchObject({ name: 'prometheus', count: 1, intervalMs: 60_000 });
  expect(metricsOf({ prometheus }, 'background')[0]?.count).toBeUndefined();
  expect(metricsOf({ job: { spec: {} } }, 'step')[0]?.timeoutMs).toBe(600_000);
});

const letter = fc.constantFrom<MeasurementResult>('Successful', 'Failed', 'Inconclusive', 'Error');
const history = fc.array(fc.tuple(fc.constantFrom('a', 'b'), letter), { maxLength: 30 });

function numbered(list: readonly (readonly [string, MeasurementResult])[]): Measured[] {
  const taken = new Map<string, number>();
  return list.map(([metric, what]) => {
    const number = taken.get(metric) ?? 0;
    taken.set(metric, number + 1);
    return result(number, what, metric);
  });
}

test('order, repetition and restarts in between give the same memory', () => {
  fc.assert(
    fc.property(history, fc.nat(), fc.array(fc.nat({ max: 29 }), { maxLength: 5 }), (list, seed, restarts) => {
      const all = numbered(list);
      const expected = withMeasured(begun('a', 'b'), 'r', all);
      const shuffled = all
        .map((one, i) => ({ one, rank: ((i + 1) * (seed + 7919)) % 101 }))
        .sort((a, b) => a.rank - b.rank);
      expect(withMeasured(begun('a', 'b'), 'r', [...shuffled.map(({ one }) => one), ...all])).toEqual(expected);
      let memory = begun('a', 'b');
      for (const [i, one] of all.entries()) {
        memory = withMeasured(memory, 'r', [one]);
        if (!restarts.includes(i)) continue;
        const analysis = analysisStatus(memory, 'r');
        memory = memoryOf({ run: 'r', ...(analysis === undefined ? {} : { analysis }) });
      }
      expect(memory).toEqual(expected);
    }),
  );
});

test('what belongs to another run, another time or another metric counts nowhere', () => {
  const memory = begun('prometheus');
  const strange = [
    { ...result(0, 'Failed'), run: 'other' },
    { ...result(0, 'Failed'), startedAt: T0 + 1 },
    { ...result(0, 'Failed'), index: 2 },
    { ...result(0, 'Failed'), scope: 'background' as const },
    result(0, 'Failed', 'other'),
    result(1, 'Failed'),
  ];
  expect(withMeasured(memory, 'r', strange)).toEqual(memory);
  const analysis = analysisStatus(memory, 'r');
  expect(memoryOf({ run: 'other', ...(analysis === undefined ? {} : { analysis }) })).toEqual(NOTHING);
});

test('a verdict that is there stays whatever is measured after it', () => {
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 20 }), fc.array(letter, { maxLength: 5 }), (list, more) => {
      const rule = rules({ count: 100, failureLimit: 2 });
      const measured = [...list, ...more].map((what, number) => result(number, what));
      const phase = (count: number) =>
        phaseOf(judged([rule], withMeasured(begun('prometheus'), 'r', measured.slice(0, count)).step?.metrics ?? []));
      if (phase(list.length) === 'Failed') expect(phase(measured.length)).toBe('Failed');
    }),
  );
});
