import { expect, test } from 'vitest';
import { laneCount } from './lane-count.ts';

const GiB = 2 ** 30;

test.each([
  ['two cores and enough memory', { cores: 2, freeBytes: 24 * GiB }, 1],
  ['four cores and enough memory', { cores: 4, freeBytes: 24 * GiB }, 2],
  ['little memory', { cores: 8, freeBytes: 10 * GiB }, 2],
  ['less memory than one lane takes: one all the same', { cores: 8, freeBytes: 2 * GiB }, 1],
  ['many cores: a bound', { cores: 64, freeBytes: 512 * GiB }, 8],
  ['a single core', { cores: 1, freeBytes: 24 * GiB }, 1],
])('%s', (_, host, lanes) => {
  expect(laneCount(host)).toBe(lanes);
});
