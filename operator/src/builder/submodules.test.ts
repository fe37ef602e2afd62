import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { submodulesOf, withSubmodule } from './submodules.ts';

test('the folders of .gitmodules; none where there is no such file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  expect(await submodulesOf(folder)).toEqual([]);
  await writeFile(
    join(folder, '.gitmodules'),
    '[submodule "a"]\n\tpath = shared\n\turl = https://x\n[submodule "b"]\npath=my libs\n',
  );
  expect(await submodulesOf(folder)).toEqual(['shared', 'my libs']);
  await rm(folder, { recursive: true });
});

test.each([
  ["path 'shared/mod.nix' does not exist", true],
  ["path '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-source/shared/mod.nix' does not exist", true],
  ["path 'sharedness/mod.nix' does not exist", false],
  ["undefined variable 'shared'", false],
])('%s', (message, told) => {
  expect(withSubmodule(message, ['shared']).includes('shared is a git submodule')).toBe(told);
});
