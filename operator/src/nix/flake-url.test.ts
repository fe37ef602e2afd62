import { expect, test } from 'vitest';
import { flakeUrl, isSourceAttributes, type SourceAttributes } from './flake-url.ts';

const rev = '6f2ac12bd79ff2a56991a6c9ec9e0a9eee733bf7';

test.each<[SourceAttributes, string]>([
  [
    { type: 'git', url: 'https://host/x.git', ref: 'main', rev, revCount: 3, lastModified: 1, narHash: 'sha256-a=' },
    `git+https://host/x.git?rev=${rev}`,
  ],
  [
    { type: 'git', url: 'ssh://git@host/x', rev, dir: 'nixos/web', submodules: true },
    `git+ssh://git@host/x?rev=${rev}&dir=nixos/web&submodules=1`,
  ],
  [
    { type: 'github', owner: 'NixOS', repo: 'nixpkgs', rev, lastModified: 1, narHash: 'sha256-a=' },
    `github:NixOS/nixpkgs/${rev}`,
  ],
  [{ type: 'gitlab', owner: 'a', repo: 'b', rev, host: 'git.example' }, `gitlab:a/b/${rev}?host=git.example`],
  [
    { type: 'tarball', url: 'https://host/x.tar.gz', narHash: 'sha256-a=' },
    'https://host/x.tar.gz?narHash=sha256-a%3D',
  ],
  [{ type: 'tarball', url: 'https://host/x?a=1', narHash: 'sha256-a=' }, 'https://host/x?a=1&narHash=sha256-a%3D'],
  [
    { type: 'path', path: '/nix/floe/source', lastModified: 1, narHash: 'sha256-a=' },
    'path:/nix/floe/source?narHash=sha256-a%3D',
  ],
])('%j', (attributes, url) => {
  expect(flakeUrl(attributes)).toBe(url);
});

test.each([
  [{ type: 'git', rev: 'x', n: 1, b: true }, true],
  [{ rev: 'x' }, false],
  [{ type: 'git', nested: {} }, false],
  [null, false],
  ['git', false],
  [[], false],
])('%j is a source: %s', (value, expected) => {
  expect(isSourceAttributes(value)).toBe(expected);
});
