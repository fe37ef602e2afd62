import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BoundedTokenReviewer, type ReviewStatus } from './token-review.ts';

const VALID: ReviewStatus = { authenticated: true, audiences: ['a'], user: { username: 'u' } };

/** An API server that knows the token `good`, and answers when it is told to. */
function world({ waits = false } = {}) {
  const asked: string[] = [];
  const open: (() => void)[] = [];
  const end = new AbortController();
  const reviewer = new BoundedTokenReviewer({
    audience: 'a',
    signal: end.signal,
    review: async ({ token }) => {
      asked.push(token);
      if (waits) await new Promise<void>((resolve) => open.push(resolve));
      return token.startsWith('good') ? VALID : { authenticated: false };
    },
  });
  const ask = (token: string, address = '10.0.0.1') => reviewer.review(token, { address });
  return { asked, open, ask, end };
}

test('a refused token is asked about once, a good one each time', async () => {
  const { ask, asked } = world();
  for (const token of ['bad', 'bad', 'good', 'good']) await ask(token);
  expect(asked).toEqual(['bad', 'good', 'good']);
  expect(await ask('bad')).toMatchObject({ kind: 'reviewed', isValid: false });
});

test('a thousand made-up tokens of one address are a handful of reviews, and others are served', async () => {
  const { ask, asked } = world();
  const kinds = [];
  for (let i = 0; i < 1000; i++) kinds.push((await ask(`made-up-${i}`)).kind);
  expect(asked.length).toBeLessThanOrEqual(11);
  expect(kinds.filter((kind) => kind === 'busy').length).toBeGreaterThanOrEqual(989);
  expect(await ask('good', '10.0.0.2')).toMatchObject({ isValid: true });
});

test('few reviews at once, in all and for one address; the same token is asked about once', async () => {
  const { ask, asked, open } = world({ waits: true });
  const own = [ask('good-1'), ask('good-1'), ask('good-2'), ask('good-3')];
  const others = Array.from({ length: 20 }, (_, i) =>
    ask('good', `10.0.1.${i}`).then(() => ask(`good-x${i}`, `10.0.1.${i}`)),
  );
  const many = Array.from({ length: 20 }, (_, i) => ask(`good-y${i}`, `10.0.2.${i}`));
  await nextTurn();
  expect(asked.length).toBeLessThanOrEqual(8);
  expect(asked.filter((token) => token === 'good-1')).toHaveLength(1);
  expect(asked).not.toContain('good-3');
  while (open.length > 0) {
    for (const answer of open.splice(0)) answer();
    await nextTurn();
  }
  expect((await Promise.all(own)).map(({ kind }) => kind)).toEqual(['reviewed', 'reviewed', 'reviewed', 'busy']);
  await Promise.all([...others, ...many]);
});

test('a token without the audience is not valid', async () => {
  const end = new AbortController();
  const reviewer = new BoundedTokenReviewer({ audience: 'b', signal: end.signal, review: async () => VALID });
  expect(await reviewer.review('good', { address: 'x' })).toMatchObject({ isValid: false });
  expect(await reviewer.review('x'.repeat(20_000), { address: 'x' })).toMatchObject({ isValid: false });
});

test('an API server that does not answer is no refusal', async () => {
  const end = new AbortController();
  let asked = 0;
  const reviewer = new BoundedTokenReviewer({
    audience: 'a',
    signal: end.signal,
    review: async () => {
      asked += 1;
      throw new Error('away');
    },
  });
  for (let i = 0; i < 20; i++) await expect(reviewer.review('t', { address: 'x' })).rejects.toThrow('away');
  expect(asked).toBe(20);
});
