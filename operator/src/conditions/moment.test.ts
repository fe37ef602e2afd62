// Times as the API writes them, read the quick way and the slow one.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { timeMs } from './moment.ts';

test.each([
  [undefined, undefined],
  ['', undefined],
  ['2026-03-01T12:00:00Z', Date.UTC(2026, 2, 1, 12)],
  ['2026-03-31T23:59:59Z', Date.UTC(2026, 2, 31, 23, 59, 59)],
  ['2026-03-01T12:00:00.250Z', Date.UTC(2026, 2, 1, 12, 0, 0, 250)],
  ['2026-03-01T12:00:00+02:00', Date.UTC(2026, 2, 1, 10)],
  ['2026-13-01T12:00:00Z', undefined],
  ['2026-00-01T12:00:00Z', undefined],
  ['2026-03-01T25:00:00Z', undefined],
  ['2026-03-01T12:60:00Z', undefined],
  ['2o26-03-01T12:00:00Z', undefined],
  ['soon', undefined],
])('%s', (text, ms) => {
  expect(timeMs(text)).toBe(ms);
});

test('whatever was written is read as the same moment', () => {
  const moment = fc.integer({ min: 0, max: Date.UTC(2200, 0) });
  fc.assert(fc.property(moment, (ms) => timeMs(rfc3339Exact(ms)) === ms));
});

test('any text of that length is read as Date.parse reads it', () => {
  const digit = fc.constantFrom(...'0123456789');
  const two = fc.tuple(digit, digit).map((two) => two.join(''));
  const text = fc
    .tuple(two, two, two, two, two, two, two)
    .map(([a, b, m, d, h, i, s]) => `${a}${b}-${m}-${d}T${h}:${i}:${s}Z`);
  fc.assert(
    fc.property(text, (given) => {
      const slow = Date.parse(given);
      return timeMs(given) === (Number.isNaN(slow) ? undefined : slow);
    }),
    { numRuns: 2000 },
  );
});
