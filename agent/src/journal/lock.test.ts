// The lock between processes: one holder, and none once it is dead.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lastHolder, lock, tryLock } from './lock.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-lock-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('one holder at a time within a process', async () => {
  const path = join(folder, 'a');
  const held = await tryLock(path);
  expect(held).toBeDefined();
  expect(await tryLock(path)).toBeUndefined();
  held?.release();
  const again = await lock(path, AbortSignal.timeout(5_000));
  again.release();
});

test('a process that is killed leaves no lock behind', async () => {
  const path = join(folder, 'b');
  const script = `import { tryLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.ts'))};
    const held = await tryLock(process.argv[1]); console.log(held === undefined ? 'busy' : 'held'); setInterval(() => held, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  expect(String(said).trim()).toBe('held');
  expect(await tryLock(path)).toBeUndefined();
  expect(await lastHolder(path)).toBe(child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const held = await lock(path, AbortSignal.timeout(5_000));
  expect(await lastHolder(path)).toBe(process.pid);
  held.release();
});

test('waiting for it ends with the signal', async () => {
  const path = join(folder, 'c');
  const held = await tryLock(path);
  const stop = new AbortController();
  const waiting = lock(path, stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow();
  held?.release();
});
