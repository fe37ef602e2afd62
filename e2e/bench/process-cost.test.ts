// Reading /proc.
import { expect, test } from 'vitest';
import { cpuSeconds, cpuSecondsOf, memoryMiB, memoryOf } from './process-cost.ts';

test.each([
  { stat: '42 (node) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 11 0 1000 1 1', seconds: 3 },
  { stat: '42 (a ) b (c) R 1 42 42 0 -1 4194304 100 0 0 0 1 0 0 0 20 0 1 0 1000 1 1', seconds: 0.01 },
  { stat: '', seconds: 0 },
])('processor time of $stat', ({ stat, seconds }) => {
  expect(cpuSecondsOf(stat)).toBe(seconds);
});

test('memory', () => {
  expect(memoryOf('Name:\tnode\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n')).toEqual({ now: 100, peak: 200 });
});

test('this process has used some of both', async () => {
  const { now, peak } = await memoryMiB(process.pid);
  expect(now).toBeGreaterThan(1);
  expect(peak).toBeGreaterThanOrEqual(now);
  expect(await cpuSeconds(process.pid)).toBeGreaterThan(0);
});
