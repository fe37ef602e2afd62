import { expect, test } from 'vitest';
import { localInput } from './local-input.ts';

const SOURCE = { type: 'path', path: '/nix/floe/source', narHash: 'sha256-x' };
const lock = (x: object, target: object = SOURCE): string =>
  JSON.stringify({
    nodes: { root: { inputs: { target: 'target' } }, target: { locked: target, inputs: { x: 'x' } }, x: { locked: x } },
    root: 'root',
    version: 7,
  });

test.each<[string, object, string]>([
  ['a folder', { type: 'path', path: '/floe/source-secret' }, '/floe/source-secret'],
  ['the same by another way', { type: 'path', path: '/proc/self/root/floe' }, '/proc/self/root/floe'],
  ['a file', { type: 'file', url: 'file:///floe/source-secret/password' }, '/floe/source-secret/password'],
  ['an archive', { type: 'tarball', url: 'FILE:///tmp/x.tar' }, '/tmp/x.tar'],
])('%s of the Job is found', (_what, x, path) => {
  expect(localInput(lock(x), SOURCE.path)).toEqual({ name: 'x', path });
});

test.each<[string, object]>([
  ['a folder of the source', { type: 'path', path: './modules' }],
  ['a repository', { type: 'git', url: 'https://git.example/x', rev: 'a' }],
  ['a repository on a shared volume', { type: 'git', url: 'file:///repositories/x', rev: 'a' }],
  ['one of GitHub', { type: 'github', owner: 'a', repo: 'b', rev: 'c' }],
  ['a file elsewhere', { type: 'file', url: 'https://git.example/file' }],
])('%s is none', (_what, x) => {
  expect(localInput(lock(x), SOURCE.path)).toBeUndefined();
});

test('only the inline files themselves may be a folder of the Job', () => {
  const git = lock({ type: 'git', url: 'https://git.example/x' });
  expect(localInput(git, SOURCE.path)).toBeUndefined();
  expect(localInput(git, undefined)).toEqual({ name: 'target', path: SOURCE.path });
  expect(localInput('{"nodes":{"root":{}},"root":"root","version":7}', undefined)).toBeUndefined();
});
