// Tests of the controller loop: what follows from each outcome.
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test, vi } from 'vitest';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { type ControllerOptions, type Outcome, type Reconcile, runController, TerminalError } from './controller.ts';
import { KubeError } from './error.ts';
import { createKubeMetrics } from './metrics.ts';
import { yieldToEventLoop } from './pause.ts';
import { WorkQueue } from './queue.ts';

const PATIENCE = { timeout: 10_000, interval: 2 };

function setUp(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const queue = new WorkQueue({
    name: 'test',
    metrics: metrics.queues,
    baseDelaySeconds: 0.001,
    maxDelaySeconds: 0.01,
  });
  const end = new AbortController();
  const run = runController({
    name: 'test',
    queue,
    reconcile,
    signal: end.signal,
    log: silentLog(),
    metrics,
    ...options,
  });
  return { queue, end, run, registry };
}

async function expectMetrics(registry: Registry, lines: readonly string[]): Promise<void> {
  const text = await registry.metrics();
  for (const line of lines) {
    expect(text).toContain(line);
  }
}

const done: Outcome = { kind: 'done' };

test('a crowd of keys for which all is in memory leaves the event loop its turns', async () => {
  let left = 200;
  let turns = 0;
  const spin = async (): Promise<Outcome> => {
    const end = performance.now() + 0.5;
    while (performance.now() < end);
    left -= 1;
    return done;
  };
  const { queue, end, run } = setUp(spin, { workers: 4 });
  for (let i = 0; i < left; i++) queue.add(`ns/m${i}`);
  while (left > 0) {
    await yieldToEventLoop();
    turns += 1;
  }
  // 100 ms of work, a turn every 10 ms.
  expect(turns).toBeGreaterThanOrEqual(5);
  end.abort();
  await run;
});

test('all metrics start at 0', async () => {
  const { registry, end, run } = setUp(async () => done, { workers: 3 });
  await expectMetrics(registry, [
    'controller_runtime_reconcile_total{controller="test",result="success"} 0',
    'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 0',
    'controller_runtime_reconcile_total{controller="test",result="error"} 0',
    'controller_runtime_reconcile_errors_total{controller="test"} 0',
    'controller_runtime_max_concurrent_reconciles{controller="test"} 3',
    'controller_runtime_active_workers{controller="test"} 0',
  ]);
  end.abort();
  await run;
});

test.each<[string, () => Outcome, number, string]>([
  ['done', () => done, 1, 'success'],
  ['again, once', () => ({ kind: 'again', afterSeconds: 0.001 }), 2, 'requeue_after'],
  [
    'an error',
    () => {
      throw new Error('broken');
    },
    2,
    'error',
  ],
  [
    'a terminal error',
    () => {
      throw new TerminalError('hopeless');
    },
    1,
    'error',
  ],
  [
    'a lost race',
    () => {
      throw new KubeError({ status: 409, reason: 'Conflict', message: 'modified' });
    },
    2,
    'error',
  ],
  [
    'no Error at all',
    () => {
      throw 'text';
    },
    2,
    'error',
  ],
])('%s', async (_, first, calls, result) => {
  const seen: string[] = [];
  const { queue, end, run, registry } = setUp((key) => {
    seen.push(key);
    return Promise.resolve().then(() => (seen.length === 1 ? first() : done));
  });
  queue.add('n/a');
  await vi.waitFor(async () => {
    expect(seen).toHaveLength(calls);
    await expectMetrics(registry, [
      `controller_runtime_reconcile_total{controller="test",result="${result}"} 1`,
      `controller_runtime_reconcile_time_seconds_count{controller="test"} ${calls}`,
    ]);
  }, PATIENCE);
  // A success ends the back-off, and so does a terminal error.
  expect(queue.failures('n/a')).toBe(0);
  expect(queue.delayed).toBe(0);
  end.abort();
  await run;
});

test('an error backs off further each time, and is counted', async () => {
  const { queue, end, run, registry } = setUp(() => Promise.reject(new Error('broken')));
  queue.add('n/a');
  await vi.waitFor(() => expect(queue.failures('n/a')).toBeGreaterThan(4), PATIENCE);
  end.abort();
  await run;
  const text = await registry.metrics();
  expect(text).toMatch(/controller_runtime_reconcile_errors_total\{controller="test"\} [5-9]/);
  expect(text).toMatch(/workqueue_retries_total\{name="test"\} [5-9]/);
});

test('a server that says when to come back is obeyed', async () => {
  const { queue, end, run } = setUp(() =>
    Promise.reject(new KubeError({ status: 429, reason: 'TooManyRequests', message: '', retryAfterSeconds: 100 })),
  );
  queue.add('n/a');
  await vi.waitFor(() => expect(queue.delayed).toBe(1), PATIENCE);
  // Without its word it would have been tried some more by now.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(queue.failures('n/a')).toBe(1);
  end.abort();
  await run;
});

test('keys run at once as far as there are workers, one key never twice', async () => {
  let most = 0;
  const running = new Set<string>();
  const { queue, end, run } = setUp(
    async (key) => {
      expect(running).not.toContain(key);
      running.add(key);
      most = Math.max(most, running.size);
      await new Promise((resolve) => setTimeout(resolve, 2));
      running.delete(key);
      return done;
    },
    { workers: 3 },
  );
  for (let i = 0; i < 40; i += 1) {
    queue.add(`n/${i % 8}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await vi.waitFor(() => expect(queue.depth + running.size).toBe(0), PATIENCE);
  expect(most).toBe(3);
  end.abort();
  await run;
});

test('a reconcile that takes too long is told so', async () => {
  let reason: unknown;
  const { queue, end, run } = setUp(
    (_, { signal }) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
          resolve(done);
        });
      }),
    { timeoutSeconds: 0.02 },
  );
  queue.add('n/a');
  await vi.waitFor(() => expect(reason).toMatchObject({ name: 'TimeoutError' }), PATIENCE);
  end.abort();
  await run;
});

test('at the end it waits for what is in hand, and takes nothing new', async () => {
  let finish: (outcome: Outcome) => void = () => undefined;
  const seen: string[] = [];
  const { queue, end, run } = setUp((key) => {
    seen.push(key);
    return new Promise((resolve) => {
      finish = resolve;
    });
  });
  queue.add('n/a');
  queue.add('n/b');
  await vi.waitFor(() => expect(seen).toEqual(['n/a']), PATIENCE);
  let ended = false;
  const all = run.then(() => {
    ended = true;
  });
  end.abort();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ended).toBe(false);
  finish(done);
  await all;
  expect(seen).toEqual(['n/a']);
});

test('at the end it does not wait for ever', async () => {
  const { queue, end, run } = setUp(() => new Promise(() => undefined), { drainSeconds: 0.02 });
  queue.add('n/a');
  await vi.waitFor(() => expect(queue.runningSeconds()).toHaveLength(1), PATIENCE);
  end.abort();
  await run;
});

const kubeError = (status: number, reason: string) => new KubeError({ status, reason, message: 'it said so' });

test.each<[string, Error, string]>([
  ['the API server is away', kubeError(0, 'Unreachable'), 'warn'],
  ['it does not answer in time', kubeError(0, 'Timeout'), 'warn'],
  ['it has too much to do', kubeError(429, 'TooManyRequests'), 'warn'],
  ['it is starting', kubeError(503, 'ServiceUnavailable'), 'warn'],
  ['what answers is no API server', kubeError(0, 'BadAnswer'), 'error'],
  ['it forbids the request', kubeError(403, 'Forbidden'), 'error'],
  ['something is wrong in the reconciler', new Error('broken'), 'error'],
  ['another writer was quicker', kubeError(409, 'Conflict'), 'debug'],
])('how loud it is when %s', async (_, error, expected) => {
  const levels: string[] = [];
  const write = (line: string) => levels.push(pino.levels.labels[JSON.parse(line).level] ?? '');
  let calls = 0;
  const { queue, end, run } = setUp(
    async () => {
      calls += 1;
      if (calls === 1) throw error;
      return done;
    },
    { log: pino({ level: 'debug' }, { write }) },
  );
  queue.add('n/a');
  await vi.waitFor(() => expect(calls).toBe(2), PATIENCE);
  end.abort();
  await run;
  expect(levels).toContain(expected);
  expect(levels.filter((level) => level !== expected && level !== 'debug')).toEqual([]);
});
