// The command line under a Node that is too old for it: one sentence, whatever that Node lacks.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from './bundle.ts';

const run = promisify(execFile);
let folder = '';
let program = '';
let text = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-bundle-'));
  program = join(folder, 'floe.mjs');
  text = await bundle('cli');
  await writeFile(program, text);
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs it under this Node, which says that it is of that version. */
function under(version: string, ...argv: string[]): Promise<{ stdout: string; stderr: string }> {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  return run(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, program, ...argv]);
}

test('an older Node is named, with what to do', async () => {
  await expect(under('20.19.0', 'plan', '-f', 'x.yaml')).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^floe: Node 20\.19\.0 is too old .*Node 24 or later.*\n$/),
  });
  expect((await under('24.0.0', '--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('nothing of Node is imported before that sentence', () => {
  const imports = text.match(/(?:^|[;\n}])import(?:[ *{][^;'"]*?from ?)?["'][^"']+["']/g) ?? [];
  expect(imports.map((line) => line.replace(/^\W*/, ''))).toEqual([
    "import { createRequire as floeRequire } from 'node:module'",
  ]);
});

test('wrong input on a pipe is JSON, exit code 2, and flags may stand before the command', async () => {
  const wrong = await under('24.0.0', 'plan').catch((error: unknown) => error);
  const said =
    '{"error":"no input is named","field":"--file","remedy":"give -f FILE, or -f - for the standard input"}\n';
  expect(wrong).toMatchObject({ code: 2, stdout: said, stderr: said });
  const missing = await under('24.0.0', '-n', 'fleet', '--kubeconfig', '/none', 'get').catch((error: unknown) => error);
  expect(missing).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('nothing is named') });
});
