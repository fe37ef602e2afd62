import { beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { config, inlineSource, NOW } from './config.fixture.ts';
import type { Resolution } from './source.ts';
import { SourceWatch } from './source-watch.ts';

const git = config(
  { source: { git: { url: 'https://git.example/x' } } },
  { annotations: { 'floe.dev/reconcile': 'now' } },
);
const found: Resolution = { kind: 'resolved', source: inlineSource() };
const away: Resolution = { kind: 'problem', problem: { reason: 'SourceFailed', message: 'away', transient: true } };

let answers: PromiseWithResolvers<Resolution>[];
let looked: string[];
let stop: AbortController;
let watch: SourceWatch;

beforeEach(() => {
  answers = [];
  looked = [];
  stop = new AbortController();
  watch = new SourceWatch({
    resolve: () => {
      const answer = Promise.withResolvers<Resolution>();
      answers.push(answer);
      return answer.promise;
    },
    onLooked: (key) => void looked.push(key),
    now: () => NOW,
    signal: stop.signal,
    log: silentLog(),
    limit: 2,
  });
});

async function answer(index: number, resolution: Resolution | Error): Promise<void> {
  if (resolution instanceof Error) answers[index]?.reject(resolution);
  else answers[index]?.resolve(resolution);
  await new Promise(setImmediate);
}

test('a look is remembered with what it was for', async () => {
  watch.look('demo/web', git);
  expect(watch.view('demo/web', git)).toEqual({ looking: true, failures: 0 });
  await answer(0, found);
  expect(looked).toEqual(['demo/web']);
  expect(watch.view('demo/web', git)).toMatchObject({
    looking: false,
    failures: 0,
    order: 'now',
    source: inlineSource(),
    at: NOW.getTime(),
  });
});

test('what was found stays while the server is away, and not when the source is another', async () => {
  for (const [index, resolution] of [found, away, new Error('odd')].entries()) {
    watch.look('demo/web', git);
    await answer(index, resolution);
  }
  expect(watch.view('demo/web', git)).toMatchObject({
    failures: 2,
    source: inlineSource(),
    problem: { reason: 'SourceFailed' },
  });
  const other = config({ source: { git: { url: 'https://git.example/other' } } });
  watch.look('demo/web', other);
  await answer(3, away);
  expect(watch.view('demo/web', other)).toMatchObject({ failures: 1 });
  expect(watch.view('demo/web', other).source).toBeUndefined();
});

test('one look for each config, a few at once', async () => {
  for (const key of ['a', 'a', 'b', 'c']) watch.look(key, git);
  expect(answers).toHaveLength(2);
  await answer(0, found);
  expect(answers).toHaveLength(3);
});

test('a config that is gone is forgotten, even while it is looked at', async () => {
  watch.look('a', git);
  watch.forget('a');
  await answer(0, found);
  expect(looked).toEqual([]);
  expect(watch.view('a', git)).toEqual({ looking: false, failures: 0 });
});

test('inline files are known at once', () => {
  const inline = config();
  expect(watch.view('a', inline)).toMatchObject({ looking: false, source: inlineSource() });
  expect(watch.view('a', inline)).toBe(watch.view('a', inline));
  const bad = config({ source: { inline: { files: { 'flake.nix': '', '../x': '' } } } });
  expect(watch.view('a', bad)).toMatchObject({ problem: { reason: 'InvalidSpec', field: 'spec.source.inline.files' } });
});
