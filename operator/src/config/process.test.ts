import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runProcess } from './process.ts';

const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const { signal } = new AbortController();

test('output, words and exit code', async () => {
  const result = await runProcess('sh', ['-c', 'echo out; echo words >&2; exit 3'], {
    env,
    timeoutSeconds: 30,
    signal,
  });
  expect(result).toEqual({ kind: 'exited', code: 3, stdout: 'out\n', stderr: 'words\n' });
});

test('its environment is what it was given and nothing else', async () => {
  const result = await runProcess('/usr/bin/env', [], { env: { ONLY: 'this' }, timeoutSeconds: 30, signal });
  expect(result).toMatchObject({ stdout: 'ONLY=this\n' });
});

test('at the limit it ends, with what it started', async () => {
  const script = 'sleep 300 & echo $! >&2; wait';
  const result = await runProcess('sh', ['-c', script], { env, timeoutSeconds: 0.3, signal });
  expect(result.kind).toBe('timeout');
  const child = Number(result.kind === 'timeout' ? result.stderr : 0);
  expect(await stateOf(child)).toMatch(/^(gone|Z)/);
});

test('too much output ends it', async () => {
  const result = await runProcess('sh', ['-c', 'yes'], { env, timeoutSeconds: 30, signal });
  expect(result).toEqual({ kind: 'too-much' });
});

test('a program that is not there', async () => {
  const result = await runProcess('/no/such/program', [], { env, timeoutSeconds: 30, signal });
  expect(result).toMatchObject({ kind: 'not-started' });
});

test('an abort ends it and rejects', async () => {
  const stop = new AbortController();
  const running = runProcess('sleep', ['300'], { env, timeoutSeconds: 30, signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});

/** State of a process as in /proc; one that nobody has waited for yet is a zombie. */
async function stateOf(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tgone');
  return /^State:\s+(\S+)/m.exec(status)?.[1] ?? 'unknown';
}
