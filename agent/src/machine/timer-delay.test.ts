// The time of a dead-man timer: counted from the start of systemd, on the monotonic clock.
import { expect, test } from 'vitest';
import type { Commander } from './command.ts';
import { timerDelay } from './timer-delay.ts';

const signal = new AbortController().signal;
const clockAt = (monotonicMs: number, time = '2026-01-01T00:00:00Z') => ({ now: () => ({ time, monotonicMs }) });
const says =
  (stdout: string, code = 0, stderr = ''): Commander =>
  async () => ({ code, stdout, stderr });

test.each([
  { name: 'a machine that has run for 100 s', started: 2_500_000, nowMs: 102_500, seconds: 45, ms: 145_000 },
  {
    name: 'a container whose host has run for a day',
    started: 86_400_000_000,
    nowMs: 86_410_000,
    seconds: 45,
    ms: 55_000,
  },
  { name: 'a part of a second is rounded up: never early', started: 1_000_001, nowMs: 1_000, seconds: 0.5, ms: 500 },
  { name: 'systemd of this very moment', started: 5_000_000, nowMs: 5_000, seconds: 30, ms: 30_000 },
])('$name', async ({ started, nowMs, seconds, ms }) => {
  const command = says(`UserspaceTimestampMonotonic=${started}\n`);
  const option = `--on-startup=${ms}ms`;
  expect(await timerDelay({ command, clock: clockAt(nowMs) }, seconds, signal)).toEqual({ kind: 'known', option });
});

test('the wall clock does not matter', async () => {
  const command = says('UserspaceTimestampMonotonic=1000000\n');
  const delays = ['1970-01-01T00:00:00Z', '2038-01-19T03:14:07Z'].map((time) =>
    timerDelay({ command, clock: clockAt(10_000, time) }, 45, signal),
  );
  expect(await Promise.all(delays)).toEqual(Array(2).fill({ kind: 'known', option: '--on-startup=54000ms' }));
});

test.each([
  { name: 'nothing', command: says(''), why: 'no answer' },
  { name: 'no time', command: says('UserspaceTimestampMonotonic=0\n'), why: 'UserspaceTimestampMonotonic=0' },
  { name: 'no word', command: says('', 1, 'Failed to connect to bus'), why: 'Failed to connect to bus' },
])('systemd says $name: no timer is better than one at a wrong time', async ({ command, why }) => {
  const delay = await timerDelay({ command, clock: clockAt(10_000) }, 45, signal);
  expect(delay).toEqual({ kind: 'unknown', message: `systemd does not say when it was started (${why})` });
});
