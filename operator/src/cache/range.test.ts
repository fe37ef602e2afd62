import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wantedBytes } from './range.ts';

test.each([
  [undefined, { kind: 'whole' }],
  ['bytes=0-', { kind: 'part', range: { start: 0, end: 99 } }],
  ['bytes=10-19', { kind: 'part', range: { start: 10, end: 19 } }],
  ['bytes=90-500', { kind: 'part', range: { start: 90, end: 99 } }],
  ['bytes=-10', { kind: 'part', range: { start: 90, end: 99 } }],
  ['bytes=-500', { kind: 'part', range: { start: 0, end: 99 } }],
  ['bytes=100-', { kind: 'unsatisfiable' }],
  ['bytes=-0', { kind: 'unsatisfiable' }],
  ['bytes=20-10', { kind: 'whole' }],
  ['bytes=-', { kind: 'whole' }],
  ['bytes=0-1,5-6', { kind: 'whole' }],
  ['lines=0-1', { kind: 'whole' }],
])('%s of 100 bytes', (header, expected) => {
  expect(wantedBytes(header, 100)).toEqual(expected);
});

test('a part always lies inside the file', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(), (a, b, size) => {
      for (const header of [`bytes=${a}-${b}`, `bytes=${a}-`, `bytes=-${b}`]) {
        const wanted = wantedBytes(header, size);
        if (wanted.kind !== 'part') continue;
        expect(wanted.range.start).toBeGreaterThanOrEqual(0);
        expect(wanted.range.start).toBeLessThanOrEqual(wanted.range.end);
        expect(wanted.range.end).toBeLessThan(size);
      }
    }),
  );
});
