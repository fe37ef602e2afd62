// When the machine is told that the agent is at rest.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Clock } from './attempt/ports.ts';
import { Rest } from './rest.ts';

let told: number;
let warned: string[];
let stop: AbortController;

beforeEach(() => {
  told = 0;
  warned = [];
  stop = new AbortController();
});

afterEach(() => stop.abort());

/** Sleeps end when `pass` is called. */
function clockOfTest(): Clock & { pass(): Promise<void> } {
  const waiting = new Set<() => void>();
  return {
    now: () => ({ time: '2026-11-21T12:00:00.000Z', monotonicMs: 0 }),
    sleep: (_milliseconds, signal) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        waiting.add(resolve);
      }),
    async pass() {
      for (const wake of waiting) wake();
      waiting.clear();
      await sleep(0);
    },
  };
}

const log = { info: vi.fn(), warn: (text: string) => void warned.push(text), error: vi.fn() };

type Step = 'begin' | 'end' | 'pass' | 'stop';

test.each<{ name: string; steps: readonly Step[]; told: number }>([
  { name: 'after a while', steps: ['begin', 'pass'], told: 1 },
  { name: 'not at once', steps: ['begin'], told: 0 },
  { name: 'once', steps: ['begin', 'begin', 'pass', 'begin', 'pass'], told: 1 },
  { name: 'not while something is in hand', steps: ['begin', 'end', 'pass'], told: 0 },
  { name: 'again after that', steps: ['begin', 'pass', 'end', 'begin', 'pass'], told: 2 },
  { name: 'a while after that, not after the start', steps: ['begin', 'end', 'begin', 'pass'], told: 1 },
  { name: 'not when the agent ends', steps: ['begin', 'stop', 'pass'], told: 0 },
])('$name: $steps', async ({ steps, told: times }) => {
  const clock = clockOfTest();
  const machine = {
    async rested() {
      told += 1;
    },
  };
  const rest = new Rest({ machine, clock, log });
  for (const step of steps) {
    if (step === 'begin') rest.begin(stop.signal);
    else if (step === 'end') rest.end();
    else if (step === 'stop') stop.abort();
    else await clock.pass();
  }
  await sleep(0);
  expect([told, warned]).toEqual([times, []]);
});

test('a machine that fails at it is told of, and the agent goes on', async () => {
  const clock = clockOfTest();
  const rest = new Rest({ machine: { rested: () => Promise.reject(new Error('no')) }, clock, log });
  rest.begin(stop.signal);
  await clock.pass();
  expect(warned).toEqual(['Error: no']);
});

test('a machine that does not want to know is not waited for', () => {
  const sleeping = vi.fn();
  new Rest({ machine: {}, clock: { ...clockOfTest(), sleep: sleeping }, log }).begin(stop.signal);
  expect(sleeping).not.toHaveBeenCalled();
});
