import { expect, test } from 'vitest';
import { comparedBytes, spokenBytes, spokenSeconds } from './spoken.ts';

test.each([
  [0.4, '0 s'],
  [41, '41 s'],
  [59.7, '1 min'],
  [370, '6 min 10 s'],
  [1800, '30 min'],
  [3600, '1 h'],
  [5400, '1 h 30 min'],
  [7500, '2 h 5 min'],
])('%d seconds: %s', (seconds, words) => {
  expect(spokenSeconds(seconds)).toBe(words);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [222_298_112, '212 MiB'],
  [1 << 30, '1 GiB'],
  [1_500_000_000, '1.4 GiB'],
  [20_000_000_000, '19 GiB'],
])('%d bytes: %s', (bytes, words) => {
  expect(spokenBytes(bytes)).toBe(words);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [212 << 20, '212 MiB'],
  [3.5 * 2 ** 30, '3.5 GiB'],
])('%d bytes, compared: %s', (bytes, words) => {
  expect(comparedBytes(bytes)).toBe(words);
});
