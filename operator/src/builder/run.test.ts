import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BUILDER_PATHS } from './paths.ts';
import { isBuilderVerb, runBuilder } from './run.ts';

test.each([
  ['no request', undefined, "can't be read"],
  ['no JSON', '{', "can't be read"],
  ['another version', '{"namespace": "a"}', 'is not understood'],
])('%s: exit 1 and last words', async (_what, text, words) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const paths = { ...BUILDER_PATHS, request: join(folder, 'request.json'), terminationLog: join(folder, 'last') };
  if (text !== undefined) await writeFile(paths.request, text);
  const lines: string[] = [];
  const code = await runBuilder('fetch', {
    signal: new AbortController().signal,
    env: {},
    write: (line) => lines.push(line),
    paths,
  });
  expect(code).toBe(1);
  expect(JSON.parse(await readFile(paths.terminationLog, 'utf8')).error).toContain(words);
  expect(lines.join('\n')).toContain('fetch failed: ');
  await rm(folder, { recursive: true });
});

test('told to stop: the exit code of SIGTERM, so that it is no failure of what is built', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const paths = { ...BUILDER_PATHS, request: join(folder, 'request.json'), terminationLog: join(folder, 'last') };
  const code = await runBuilder('build', { signal: AbortSignal.abort(), env: {}, write: () => undefined, paths });
  expect(code).toBe(143);
  expect(JSON.parse(await readFile(paths.terminationLog, 'utf8')).error).toContain('was told to stop');
  await rm(folder, { recursive: true });
});

test('verbs', () => {
  expect(isBuilderVerb('push')).toBe(true);
  expect(isBuilderVerb('toString')).toBe(false);
  expect(isBuilderVerb(undefined)).toBe(false);
});
