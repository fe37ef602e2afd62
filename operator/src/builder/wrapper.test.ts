import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inputOf } from './fetch.ts';
import { withUserNames, wrapperFlake, writeWrapper } from './wrapper.ts';

const wrapper = {
  source: { type: 'git', url: 'https://host/x', rev: 'abc', lastModified: 1, submodules: true, __final: true },
  inputs: { nixpkgs: 'github:NixOS/nixpkgs/abc', 'home/nixpkgs': 'path:/a"b' },
  modules: ['{ a = 1; }', '{ b = 2; }'],
  systems: [['nixosConfigurations', 'web.example']],
};

test('the source is pinned, inputs are overridden at any depth, nothing escapes its quotes', () => {
  const text = wrapperFlake(wrapper);
  expect(text).toContain(
    'inputs.target = { "type" = "git"; "url" = "https://host/x"; "rev" = "abc"; "lastModified" = 1; "submodules" = true; };',
  );
  expect(text).toContain('inputs.target.inputs."nixpkgs".url = "github:NixOS/nixpkgs/abc";');
  expect(text).toContain('inputs.target.inputs."home".inputs."nixpkgs".url = "path:/a\\"b";');
  expect(text).toContain('modules = [ ./floe-modules/0.nix ./floe-modules/1.nix ];');
});

test('files have fixed times, and nothing of an earlier wrapper stays', async () => {
  const root = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const folder = join(root, 'eval');
  await writeWrapper(folder, wrapper);
  await writeWrapper(folder, { ...wrapper, modules: ['{ }'] });
  expect(await readdir(join(folder, 'floe-modules'))).toEqual(['0.nix']);
  expect(JSON.parse(await readFile(join(folder, 'systems.json'), 'utf8'))).toEqual([
    ['nixosConfigurations', 'web.example'],
  ]);
  expect((await stat(join(folder, 'flake.nix'))).mtimeMs).toBe(1000);
  await rm(root, { recursive: true });
});

test('modules are named by their field', () => {
  expect(withUserNames('syntax error (floe-modules/1.nix:3)')).toBe('syntax error (spec.modules[1]:3)');
  expect(withUserNames('odd (floe-evaluate.nix:34)')).toBe('odd');
});

test('the input at which fetching failed', () => {
  const text =
    "… while updating the flake input 'target'\n… while updating the flake input 'target/lib'\n… while fetching the input 'git+http://x'";
  expect(inputOf(text)).toBe('lib');
  expect(inputOf("… while updating the flake input 'target'")).toBeUndefined();
  expect(inputOf('error: odd')).toBeUndefined();
});
