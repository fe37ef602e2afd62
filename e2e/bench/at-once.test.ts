// Bounded parallel work.
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { atOnce } from './at-once.ts';

test.each([
  { items: 0, parallel: 3, most: 0 },
  { items: 2, parallel: 3, most: 2 },
  { items: 10, parallel: 3, most: 3 },
])('$items items, $parallel at once', async ({ items, parallel, most }) => {
  const done: number[] = [];
  let running = 0;
  let highest = 0;
  await atOnce(
    Array.from({ length: items }, (_, index) => index),
    parallel,
    async (item) => {
      running += 1;
      highest = Math.max(highest, running);
      await setImmediate();
      running -= 1;
      done.push(item);
    },
  );
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: items }, (_, index) => index));
  expect(highest).toBe(most);
});

test('the first failure is the result', async () => {
  const work = async (item: number) => {
    if (item === 2) throw new Error('two');
  };
  await expect(atOnce([1, 2, 3], 2, work)).rejects.toThrow('two');
});
