import { expect, test } from 'vitest';
import { durationSeconds } from './duration.ts';

test.each([
  ['90s', 90],
  ['1h30m', 5400],
  ['1.5m', 90],
  ['250ms', 0.25],
  ['0s', 0],
  ['', undefined],
  ['5', undefined],
  ['5 m', undefined],
  ['-5m', undefined],
  ['1d', undefined],
])('%j is %j s', (text, seconds) => {
  expect(durationSeconds(text)).toBe(seconds);
});
