import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_LOCK_LENGTH } from '@floe/crds/constants';
import { expect, test } from 'vitest';
import { keptLock, readLock, writeLock } from './lock.ts';

const node = (url: string) => ({ locked: { type: 'git', url, rev: 'a'.repeat(40) }, original: { type: 'git', url } });
const lock = (url = 'https://git.example/x') =>
  JSON.stringify({ nodes: { x: node(url), root: { inputs: { x: 'x' } } }, root: 'root', version: 7 }, undefined, 2);

test('a lock is kept without blanks, and what is kept is kept as it is', () => {
  const kept = keptLock(lock());
  expect(JSON.parse(kept ?? '')).toEqual(JSON.parse(lock()));
  expect(kept).not.toContain('\n');
  expect(keptLock(kept ?? '')).toBe(kept);
});

test.each([
  ['nothing', ''],
  ['no JSON', '{'],
  ['no lock', '{"nodes": {}}'],
  ['a list', '[]'],
  ['one that is too large', lock(`https://git.example/${'x'.repeat(MAX_LOCK_LENGTH)}`)],
  ['one that holds a password', lock('https://bot:secret@git.example/x')],
])('%s is not kept', (_what, text) => {
  expect(keptLock(text)).toBeUndefined();
});

test('it is written as every file of the wrapper, and a wrapper without one is no error', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  try {
    expect(await readLock(folder)).toBe('');
    await writeLock(folder, lock());
    expect(await readLock(folder)).toBe(lock());
    expect((await stat(join(folder, 'flake.lock'))).mtimeMs).toBe(1000);
  } finally {
    await rm(folder, { recursive: true });
  }
});
