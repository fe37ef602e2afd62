import { expect, test } from 'vitest';
import { fewAtOnce } from './few-at-once.ts';

const command = { program: 'nix', args: [], env: {}, timeoutSeconds: 1 };
const { signal } = new AbortController();

test('no more than the limit run at once, and one that fails makes room', async () => {
  let running = 0;
  let most = 0;
  const run = fewAtOnce(async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise(setImmediate);
    running -= 1;
    throw new Error('it failed');
  }, 2);
  const ended = await Promise.allSettled(Array.from({ length: 7 }, () => run(command, { signal })));
  expect(ended.map(({ status }) => status)).toEqual(Array(7).fill('rejected'));
  expect(most).toBe(2);
});
