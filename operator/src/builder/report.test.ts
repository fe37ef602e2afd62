import type { BuildResult } from '@floe/crds/build';
import { expect, test } from 'vitest';
import { BuildFailure } from './failure.ts';
import { type PostReport, type ReportAnswer, report } from './report.ts';

const result: BuildResult = {
  namespace: 'team-a',
  config: 'web',
  revision: '3f9c2ab41c07',
  job: 'web-1',
  locked: 'path:/x',
  closures: {},
  failures: {},
  seconds: 1,
  bytes: 0,
  builtDerivations: 0,
};

/** Posts that answer in turn, the last for ever; time passes only in pauses. */
async function play(answers: readonly (ReportAnswer | Error)[], limitSeconds = 600) {
  let now = 0;
  let posts = 0;
  const pauses: number[] = [];
  const post: PostReport = async () => {
    const answer = answers[Math.min(posts++, answers.length - 1)];
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer');
    return answer;
  };
  const options = {
    signal: new AbortController().signal,
    limitSeconds,
    now: () => now,
    wait: async (seconds: number) => {
      pauses.push(seconds);
      now += seconds * 1000;
    },
    onRetry: () => undefined,
  };
  const error = await report(post, result, options).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return { error, posts, pauses };
}

test('goes on until it is stored', async () => {
  const played = await play([
    new Error('connect ECONNREFUSED'),
    { status: 503, text: 'starting' },
    { status: 200, text: '' },
  ]);
  expect(played).toEqual({ error: undefined, posts: 3, pauses: [0.5, 1] });
});

test('waits as long as it is asked to, within reason', async () => {
  const played = await play([
    { status: 429, text: '', retryAfterSeconds: 7 },
    { status: 503, text: '', retryAfterSeconds: 9999 },
    { status: 200, text: '' },
  ]);
  expect(played.pauses).toEqual([7, 30]);
});

test.each([400, 401, 403, 404, 409, 413])('%i is for good, in the words of the operator', async (status) => {
  const text = JSON.stringify({ error: 'Job web-1 is gone', field: 'job', remedy: 'nothing to do' });
  const { error, posts } = await play([{ status, text }]);
  expect(posts).toBe(1);
  expect(error).toMatchObject({
    message: expect.stringContaining('Job web-1 is gone'),
    field: 'job',
    remedy: 'nothing to do',
  });
});

test('a refusal by something else than the operator is told as it is', async () => {
  const { error } = await play([{ status: 404, text: '<html>no such page' }]);
  expect(error).toMatchObject({ message: expect.stringContaining('<html>no such page') });
});

test('gives up at its limit, with the last reason', async () => {
  const { error, posts } = await play([new Error('connect ECONNREFUSED')], 60);
  expect(error).toBeInstanceOf(BuildFailure);
  expect(error).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
  expect(posts).toBeGreaterThan(4);
  expect(posts).toBeLessThan(15);
});
