// Tests of the work queue: random interleavings against a model, and the rules one by one.
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { Clock } from './clock.ts';
import { WorkQueue, type WorkQueueOptions } from './queue.ts';
import { QueueMetrics } from './queue-metrics.ts';

/** A clock that a test moves by hand. */
class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, milliseconds), callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  get timers(): number {
    return this.#timers.length;
  }

  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) {
        break;
      }
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = end;
  }
}

function setUp(options: Partial<WorkQueueOptions> = {}) {
  const clock = new ManualClock();
  const queue = new WorkQueue({ name: 'test', clock, random: () => 1, ...options });
  const end = new AbortController();
  return { clock, queue, end, take: () => queue.take(end.signal) };
}

/** What is ready, taken and given back one by one. */
async function drain(queue: WorkQueue): Promise<string[]> {
  const keys: string[] = [];
  while (queue.depth > 0) {
    const key = await queue.take(new AbortController().signal);
    if (key !== undefined) {
      keys.push(key);
      queue.done(key);
    }
  }
  return keys;
}

describe('random interleavings', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const command = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), key, relist: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('addAfter' as const), key, ms: fc.nat({ max: 3000 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), key }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), key }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('done' as const), key }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat({ max: 2000 }) }) },
  );

  test('never hand out one key twice at once, too early, or not at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 80, size: 'max' }), async (commands) => {
        const { clock, queue, take, end } = setUp();
        /** When each key is due that was asked for and not handed out since. */
        const due = new Map<string, number>();
        const users = new Set<string>();
        const held = new Set<string>();
        let waiting = 0;
        const ask = (k: string, at: number) => due.set(k, Math.min(at, due.get(k) ?? at));
        const isReady = (k: string) => (due.get(k) ?? Number.POSITIVE_INFINITY) <= clock.now() && !held.has(k);
        const receive = (k: string | undefined) => {
          if (k === undefined) {
            return;
          }
          waiting -= 1;
          expect(held, 'one key twice at once').not.toContain(k);
          expect(due.get(k), `${k} was not asked for, or not yet`).toBeLessThanOrEqual(clock.now());
          const urgent = [...due.keys()].some((other) => users.has(other) && isReady(other));
          expect(users.has(k) || !urgent, 'a relist before a user').toBe(true);
          due.delete(k);
          users.delete(k);
          held.add(k);
        };
        const step = (c: (typeof commands)[number]) => {
          switch (c.do) {
            case 'add':
              ask(c.key, clock.now());
              if (!c.relist) {
                users.add(c.key);
              }
              return queue.add(c.key, { priority: c.relist ? 'relist' : 'user' });
            case 'addAfter':
              ask(c.key, clock.now() + c.ms);
              // A relist of lower priority: the model need not know what the key had before.
              return queue.addAfter(c.key, c.ms / 1000, { priority: 'relist' });
            case 'fail':
              ask(c.key, clock.now() + queue.addRateLimited(c.key, { priority: 'relist' }) * 1000);
              return undefined;
            case 'forget':
              return queue.forget(c.key);
            case 'take':
              waiting += 1;
              void take().then(receive);
              return undefined;
            case 'done':
              held.delete(c.key);
              return queue.done(c.key);
            default:
              return clock.advance(c.ms);
          }
        };
        for (const c of commands) {
          step(c);
          await settle();
          const ready = [...due.keys()].filter(isReady);
          expect(waiting === 0 || ready.length === 0, `somebody waits although ${ready} are ready`).toBe(true);
          expect(clock.timers, 'one timer for all delays').toBeLessThanOrEqual(1);
        }
        // In the end everything that was asked for is handed out, once.
        for (const k of [...held]) {
          held.delete(k);
          queue.done(k);
          await settle();
        }
        for (let i = 0; i < 20; i += 1) {
          clock.advance(10_000_000);
          waiting += 1;
          void take().then(receive);
          await settle();
          for (const k of [...held]) {
            held.delete(k);
            queue.done(k);
            await settle();
          }
        }
        expect([...due.keys()], 'lost').toEqual([]);
        expect(queue.depth + queue.delayed, 'left over').toBe(0);
        end.abort();
      }),
      { numRuns: Number(process.env['FLOE_SEQUENCES'] ?? 300) },
    );
  });
});

async function settle(): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    await Promise.resolve();
  }
}

describe('priorities', () => {
  test('users go first, each in the order of arrival', async () => {
    const { queue } = setUp();
    queue.add('r1', { priority: 'relist' });
    queue.add('u1');
    queue.add('r2', { priority: 'relist' });
    queue.add('u2');
    expect(await drain(queue)).toEqual(['u1', 'u2', 'r1', 'r2']);
  });

  test('a key of a relist moves up when a user changes it, and never down', async () => {
    const { queue } = setUp();
    queue.add('r1', { priority: 'relist' });
    queue.add('r2', { priority: 'relist' });
    queue.add('r2');
    queue.add('r2', { priority: 'relist' });
    expect(await drain(queue)).toEqual(['r2', 'r1']);
  });

  test('a retry keeps the priority of what is tried again', async () => {
    const { queue, clock, take } = setUp();
    queue.add('r', { priority: 'relist' });
    await take();
    queue.addRateLimited('r');
    queue.done('r');
    clock.advance(10_000);
    queue.add('u');
    expect(await drain(queue)).toEqual(['u', 'r']);
  });
});

test('the back-off doubles from 5 ms to 1000 s, and starts anew when forgotten', () => {
  const { queue } = setUp();
  const delays = Array.from({ length: 20 }, () => queue.addRateLimited('a'));
  expect(delays.slice(0, 4)).toEqual([0.005, 0.01, 0.02, 0.04]);
  expect(delays.at(-1)).toBe(1000);
  expect(queue.failures('a')).toBe(20);
  queue.forget('a');
  expect(queue.addRateLimited('a')).toBe(0.005);
});

test('the back-off has jitter, and is never shorter than what the server asks for', () => {
  const { queue } = setUp({ random: () => 0 });
  expect(queue.addRateLimited('a')).toBe(0.0025);
  expect(queue.addRateLimited('b', { atLeastSeconds: 7 })).toBe(7);
});

test('one timer serves delays in any order', async () => {
  const { queue, clock } = setUp();
  queue.addAfter('late', 3);
  queue.addAfter('early', 1);
  clock.advance(2000);
  expect(await drain(queue)).toEqual(['early']);
  clock.advance(2000);
  expect(await drain(queue)).toEqual(['late']);
});

test('a change ends the wait of a back-off', async () => {
  const { queue } = setUp();
  queue.addAfter('a', 100);
  queue.add('a');
  expect(queue.delayed).toBe(0);
  expect(await drain(queue)).toEqual(['a']);
});

test('who waits gets a key as soon as there is one, and nothing after the abort', async () => {
  const { queue, take, end } = setUp();
  const first = take();
  const second = take();
  queue.add('a');
  expect(await first).toBe('a');
  end.abort();
  expect(await second).toBeUndefined();
  queue.add('b');
  expect(await take()).toBeUndefined();
  expect(queue.depth).toBe(1);
});

test('metrics', async () => {
  const registry = new Registry();
  const { queue, clock, take } = setUp({ metrics: new QueueMetrics(registry) });
  queue.add('a');
  queue.add('b');
  clock.advance(2000);
  await take();
  clock.advance(3000);
  queue.addRateLimited('a');
  const text = await registry.metrics();
  for (const line of [
    'workqueue_adds_total{name="test"} 3',
    'workqueue_depth{name="test"} 1',
    'workqueue_retries_total{name="test"} 1',
    'workqueue_queue_duration_seconds_sum{name="test"} 2',
    'workqueue_unfinished_work_seconds{name="test"} 3',
    'workqueue_longest_running_processor_seconds{name="test"} 3',
  ]) {
    expect(text).toContain(line);
  }
  queue.done('a');
  expect(await registry.metrics()).toContain('workqueue_work_duration_seconds_sum{name="test"} 3');
});
