// Tests of the runner: what it starts, keeps, forgets and ends; and of the Events that follow from statuses.
import type { RolloutStatus } from '@floe/crds/rollout';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Job } from '../../kube/builtin.ts';
import { R1, R2, rollout, running, T0 } from '../rollout.fixture.ts';
import { newsOf } from '../status-news.ts';
import { analysisEvents } from './analysis-events.ts';
import { AnalysisMetrics } from './analysis-metrics.ts';
import { metricsOf } from './metric.ts';
import { MeasurementRunner } from './runner.ts';
import type { MeasurementTask } from './tasks.ts';

const KEY = 'shop/web';
let end: AbortController;
let registry: Registry;
let made: string[];
let deleted: string[];
let woken: string[];
/** What a Job's status is when it is created. */
let status: Job['status'];
let runner: MeasurementRunner;

beforeEach(() => {
  end = new AbortController();
  registry = new Registry();
  made = [];
  deleted = [];
  woken = [];
  status = { conditions: [{ type: 'Complete', status: 'True' }] };
  const client = {
    create: async (_: unknown, job: Job) => {
      made.push(job.metadata.name);
      return { ...job, status };
    },
    get: () => new Promise(() => undefined),
    delete: async (_: unknown, { name }: { name: string }) => {
      deleted.push(name);
    },
  };
  runner = new MeasurementRunner({
    ports: { client: client as never, allowLocal: false, now: () => new Date(T0) },
    metrics: new AnalysisMetrics(registry),
    log: pino({ level: 'silent' }),
    wake: (key) => woken.push(key),
    signal: end.signal,
  });
});
afterEach(() => end.abort());

function task(number: number, name = 'check'): MeasurementTask {
  const job = { spec: { template: { spec: { containers: [{ name: 'x', image: 'x' }] } } } };
  const [rules] = metricsOf({ metrics: [{ name, job }] }, 'step');
  if (rules === undefined) throw new Error('no metric');
  const variables = {
    revision: R2,
    stableRevision: R1,
    rollout: 'web',
    namespace: 'shop',
    machines: ['m1'],
    control: ['m2'],
  };
  return { run: 'r', scope: 'step', index: 1, startedAt: T0, number, rules, variables };
}

/** Lets everything that can happen now happen. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('what is due is measured once, kept until no plan asks for it, and its Job deleted then', async () => {
  runner.sync(rollout(), [task(0)]);
  runner.sync(rollout(), [task(0)]);
  await settled();
  expect(made).toHaveLength(1);
  expect(woken).toEqual([KEY]);
  expect(runner.measured(KEY)).toMatchObject([{ metric: 'check', number: 0, measurement: { result: 'Successful' } }]);
  runner.sync(rollout(), [task(0)]);
  expect(runner.measured(KEY)).toHaveLength(1);
  expect(deleted).toEqual([]);
  runner.sync(rollout(), [task(1)]);
  await settled();
  expect(deleted).toEqual([made[0]]);
  expect(runner.measured(KEY)).toMatchObject([{ number: 1 }]);
  expect(await registry.metrics()).toContain(
    'floe_analysis_measurements_total{namespace="shop",rollout="web",metric="check",result="Successful"} 2',
  );
});

test('what is in hand ends with the plan that asked for it, and gives no result', async () => {
  status = {};
  runner.sync(rollout(), [task(0)]);
  await settled();
  runner.sync(rollout(), []);
  await settled();
  expect(deleted).toEqual(made);
  expect(runner.measured(KEY)).toEqual([]);
  expect(woken).toEqual([]);
});

test('another leader finds the Job by its name: the end of this one deletes none', async () => {
  status = {};
  runner.sync(rollout(), [task(0)]);
  await settled();
  end.abort();
  await settled();
  expect(made).toHaveLength(1);
  expect(deleted).toEqual([]);
  runner.sync(rollout(), [task(0)]);
  await settled();
  expect(made).toHaveLength(1);
});

test('at most sixteen are in hand at once', async () => {
  status = {};
  const tasks = Array.from({ length: 20 }, (_, i) => task(0, `check-${i}`));
  runner.sync(rollout(), tasks);
  await settled();
  expect(made).toHaveLength(16);
  runner.sync(rollout(), tasks.slice(2));
  await settled();
  expect(made).toHaveLength(18);
});

test('a Rollout that is gone leaves no series', async () => {
  runner.sync(rollout(), [task(0)]);
  await settled();
  runner.forget(KEY);
  expect(runner.measured(KEY)).toEqual([]);
  expect(await registry.metrics()).not.toContain('rollout="web"');
});

type Results = readonly ('Successful' | 'Failed' | 'Error')[];

function measured(results: Results, phase: 'Running' | 'Failed' | 'Successful' = 'Running'): RolloutStatus {
  const count = (what: string) => results.filter((result) => result === what).length;
  const metric = {
    name: 'errors',
    phase,
    successful: count('Successful'),
    failed: count('Failed'),
    inconclusive: 0,
    errors: count('Error'),
    consecutiveErrors: 0,
    measurements: results.map((result) => ({ result, value: '1', at: '2026-03-01T12:00:00Z' })).toReversed(),
  };
  const step = { index: 1, startedAt: '2026-03-01T12:00:00Z', phase, metrics: [metric] };
  return running({ analysis: { run: 'run1', step } });
}

test.each<[Results, Results, 'Running' | 'Failed', string[]]>([
  [['Successful'], ['Successful', 'Successful'], 'Running', []],
  [[], ['Successful'], 'Running', ['MeasurementSuccessful']],
  [['Successful'], ['Successful', 'Error'], 'Running', ['MeasurementError']],
  [
    ['Successful'],
    ['Successful', 'Failed', 'Failed'],
    'Failed',
    ['MeasurementFailed', 'MeasurementFailed', 'AnalysisFailed'],
  ],
])('Events from %j to %j', (before, after, phase, expected) => {
  expect(analysisEvents(measured(before), measured(after, phase)).map(({ reason }) => reason)).toEqual(expected);
});

test('an analysis that begins is told with its metrics', () => {
  expect(analysisEvents(running(), measured([]))).toEqual([
    { type: 'Normal', reason: 'AnalysisStarted', message: 'analysis (step) of errors started' },
  ]);
});

test('counts of measurements may wait for their second, what they come to may not', () => {
  expect(newsOf(measured([]), measured(['Successful']))).toBe('counters');
  expect(newsOf(measured(['Successful']), measured(['Successful', 'Failed'], 'Failed'))).toBe('course');
  expect(newsOf(running(), measured([]))).toBe('course');
});
