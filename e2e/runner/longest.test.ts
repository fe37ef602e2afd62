import { expect, test } from 'vitest';
import { longest } from './longest.ts';

test('the longest first, with its lane, and the sum of all', () => {
  expect(
    longest([
      { file: 'a.test.ts', seconds: 3 },
      { file: 'b.e2e.test.ts', seconds: 75, processorSeconds: 61, lane: 2 },
    ]),
  ).toEqual([
    '          time    processor  ',
    '    1 min 15 s    1 min 1 s  b.e2e.test.ts (lane 2)',
    '           3 s               a.test.ts',
    '    1 min 18 s    1 min 1 s  all 2',
  ]);
});

test('a bound on the rows, none on the sum', () => {
  const costs = Array.from({ length: 40 }, (_, index) => ({ file: `${index}.test.ts`, seconds: 1 }));
  expect(longest(costs)).toHaveLength(14);
  expect(longest(costs).at(-1)).toContain('all 40');
  expect(longest([])).toEqual([]);
});
