import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeInline, wrongFileName } from './inline.ts';

test.each(['', '/etc/passwd', '../x', 'a/../b', './a', 'a//b', 'a/', '.git/config', 'a\0b'])(
  '"%s" is no file of a flake',
  (name) => {
    expect(wrongFileName(name)).toBeDefined();
  },
);

test('files and their times are always the same', async () => {
  const root = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const folder = join(root, 'source');
  await writeInline(folder, { old: 'x' });
  await writeInline(folder, { 'flake.nix': '{ }', 'machines/web.nix': 'w' });
  expect(await readFile(join(folder, 'machines/web.nix'), 'utf8')).toBe('w');
  for (const name of ['.', 'flake.nix', 'machines', 'machines/web.nix'])
    expect((await stat(join(folder, name))).mtimeMs).toBe(1000);
  await expect(stat(join(folder, 'old'))).rejects.toThrow('ENOENT');
  await expect(writeInline(folder, { a: '', 'a/b': '' })).rejects.toMatchObject({ field: 'spec.source.inline.files' });
  await rm(root, { recursive: true });
});
