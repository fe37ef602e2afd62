import { Buffer } from 'node:buffer';
import { expect, test, vi } from 'vitest';
import { BoundedTokenReviewer, type ReviewStatus, type ReviewToken } from '../kube/token-review.ts';
import { type Authorizer, anyOf, remembering, staticToken, tokenOf, type Verdict } from './authorize.ts';
import { tokenReview } from './token-review.ts';

const { signal } = new AbortController();
const FROM = { signal, address: '10.0.0.1' };
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test.each([
  [basic('floe:secret'), 'secret'],
  [basic('floe:a:b'), 'a:b'],
  [basic(':secret'), 'secret'],
  [basic('secret'), undefined],
  [basic('floe:'), undefined],
  ['Bearer abc', 'abc'],
  ['bearer abc', 'abc'],
  ['Bearer', undefined],
  ['Digest x', undefined],
  ['', undefined],
  [undefined, undefined],
])('token of %s', (header, token) => {
  expect(tokenOf(header)).toBe(token);
});

test('a static token may write everywhere; an empty file lets nobody in', async () => {
  const authorizer = staticToken(async () => 'secret\n');
  expect(await authorizer.authorize('secret', 'a', FROM)).toEqual({ kind: 'allowed' });
  expect((await authorizer.authorize('secre', 'a', FROM)).kind).toBe('refused');
  expect((await staticToken(async () => '').authorize('', 'a', FROM)).kind).toBe('refused');
  const broken = staticToken(async () => Promise.reject(new Error('no such file')));
  expect((await broken.authorize('secret', 'a', FROM)).kind).toBe('unknown');
});

const reviewer = (review: ReviewToken) => new BoundedTokenReviewer({ review, audience: 'floe-cache', signal });

const good: ReviewStatus = {
  authenticated: true,
  audiences: ['floe-cache'],
  user: { username: 'system:serviceaccount:team-a:builder' },
};

test.each<[string, ReviewStatus, string, Verdict['kind']]>([
  ['its own namespace', good, 'team-a', 'allowed'],
  ['another namespace', good, 'team-b', 'refused'],
  ['not authenticated', { authenticated: false }, 'team-a', 'refused'],
  ['another audience', { ...good, audiences: ['api'] }, 'team-a', 'refused'],
  [
    'an authenticator without audiences',
    { authenticated: true, user: { username: 'system:serviceaccount:team-a:x' } },
    'team-a',
    'refused',
  ],
  ['a person', { ...good, user: { username: 'admin' } }, 'team-a', 'refused'],
  [
    'a name that only looks like one',
    { ...good, user: { username: 'x:system:serviceaccount:team-a:x' } },
    'team-a',
    'refused',
  ],
])('TokenReview: %s', async (_what, status, namespace, kind) => {
  const authorizer = tokenReview(reviewer(async () => status));
  expect((await authorizer.authorize('t', namespace, FROM)).kind).toBe(kind);
});

test('no answer from the API server is no refusal', async () => {
  const authorizer = tokenReview(reviewer(async () => Promise.reject(new Error('connection refused'))));
  expect(await authorizer.authorize('t', 'a', FROM)).toMatchObject({
    kind: 'unknown',
    reason: expect.stringContaining('connection refused'),
  });
});

test('a stranger with a thousand made-up tokens costs the API server a handful of reviews', async () => {
  const review = vi.fn(async () => ({ authenticated: false }));
  const authorizer = tokenReview(reviewer(review));
  for (let i = 0; i < 1000; i++) await authorizer.authorize(`made-up-${i}`, 'a', FROM);
  expect(review.mock.calls.length).toBeLessThanOrEqual(11);
});

const always = (verdict: Verdict): Authorizer => ({ authorize: async () => verdict });

test.each<[Verdict['kind'][], Verdict['kind']]>([
  [[], 'refused'],
  [['refused', 'allowed'], 'allowed'],
  [['refused', 'refused'], 'refused'],
  [['unknown', 'refused'], 'unknown'],
  [['refused', 'unknown'], 'unknown'],
])('any of %j is %s', async (kinds, expected) => {
  const one = anyOf(kinds.map((kind) => always({ kind, reason: 'r' })));
  expect((await one.authorize('t', 'a', FROM)).kind).toBe(expected);
});

test('remembers verdicts by namespace and token, and not for ever', async () => {
  let now = 0;
  const inner = { authorize: vi.fn(async (): Promise<Verdict> => ({ kind: 'allowed' })) };
  const authorizer = remembering(inner, { now: () => now, seconds: 60, size: 2 });
  const ask = async (token: string, namespace: string) => authorizer.authorize(token, namespace, FROM);
  await ask('t', 'a');
  await ask('t', 'a');
  expect(inner.authorize).toHaveBeenCalledTimes(1);
  await ask('t', 'b');
  await ask('u', 'a');
  expect(inner.authorize).toHaveBeenCalledTimes(3);
  now = 61_000;
  await ask('u', 'a');
  expect(inner.authorize).toHaveBeenCalledTimes(4);
});

test('does not remember that nobody could be asked', async () => {
  const inner = { authorize: vi.fn(async (): Promise<Verdict> => ({ kind: 'unknown', reason: 'down' })) };
  const authorizer = remembering(inner, { now: () => 0, seconds: 60, size: 2 });
  await authorizer.authorize('t', 'a', FROM);
  await authorizer.authorize('t', 'a', FROM);
  expect(inner.authorize).toHaveBeenCalledTimes(2);
});
