// From measurements to figures.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeFigures, figuresOf, type Measured, percentile } from './figures.ts';

test.each([
  { values: [], share: 0.5, is: 0 },
  { values: [7], share: 0.99, is: 7 },
  { values: [4, 1, 3, 2], share: 0.5, is: 2 },
  { values: [4, 1, 3, 2], share: 0.99, is: 4 },
  { values: [1, 2], share: 0, is: 1 },
])('percentile $share of $values is $is', ({ values, share, is }) => {
  expect(percentile(values, share)).toBe(is);
});

test('a percentile is one of the values, and enough of them are not above it', () => {
  const values = fc.array(fc.integer(), { minLength: 1 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(values, share, (all, part) => {
      const found = percentile(all, part);
      expect(all).toContain(found);
      expect(all.filter((value) => value <= found).length).toBeGreaterThanOrEqual(part * all.length);
    }),
  );
});

const measured: Measured = {
  machines: 1000,
  startSeconds: 1.2345,
  blockMs: { start: 31.4, connect: 22.6, rollout: 18 },
  connectSeconds: 8,
  rolloutSeconds: 4,
  patches: 2010,
  conflicts: 3,
  alone: { writesPerSecond: 625, cpuSecondsPerWrite: 0.001739 },
  operatorRssMiB: 180.04,
  operatorPeakRssMiB: 201.96,
  bareServerMiB: 90.06,
  cpu: { operator: 3.456, apiServer: 2, etcd: 1, agents: 0.5 },
  receiptMs: [30, 10, 20],
};

test('figures', () => {
  expect(figuresOf(measured, 2)).toEqual({
    bench: 'rollout',
    machines: 1000,
    machinesPerSecond: 250,
    writesPerMachine: 2.01,
    apiserverWritesPerSecond: 625,
    operatorRssMiB: 180,
    operatorPeakRssMiB: 202,
    bareServerMiB: 90.1,
    shareOfFloor: 0.8,
    cpuShareOfFloor: 0.5,
    rolloutSeconds: 4,
    conflicts: 3,
    startSeconds: 1.23,
    connectSeconds: 8,
    longestBlockMs: 31,
    blockMs: { start: 31, connect: 23, rollout: 18 },
    receiptP50Ms: 20,
    receiptP99Ms: 30,
    cpuSeconds: { operator: 3.46, apiServer: 2, etcd: 1, agents: 0.5 },
    cpus: 2,
  });
});

test('people get units', () => {
  const text = describeFigures(figuresOf(measured, 2));
  expect(text).toContain('1000 machines in 4 s: 250 per second');
  expect(text).toContain('80 % of that rate divided by 2');
  expect(text).toContain('blocked for 31 ms at most');
  expect(text).toContain('20 ms (half), 30 ms (99 of 100)');
});
