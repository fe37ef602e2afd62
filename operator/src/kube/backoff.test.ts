// Tests of delays between tries.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff } from './backoff.ts';

test('the bound doubles up to the longest delay and starts again after a reset', () => {
  const backoff = new Backoff({ random: () => 1 });
  const delays = Array.from({ length: 8 }, () => backoff.next());
  expect(delays).toEqual([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]);
  backoff.reset();
  expect(backoff.next()).toBe(0.8);
});

test('every delay lies between what the server asks for and the bound above it', () => {
  fc.assert(
    fc.property(fc.nat({ max: 5000 }), fc.nat({ max: 60 }), (failures, asked) => {
      const backoff = new Backoff();
      for (let i = 0; i < failures; i += 1) {
        backoff.next();
      }
      const delay = backoff.next(asked);
      expect(delay).toBeGreaterThanOrEqual(asked);
      expect(delay).toBeLessThanOrEqual(asked + 30);
    }),
    { numRuns: 20 },
  );
});
