// Signatures of closures: what counts as vouched for, in all forms in which Nix tells it.
import { fingerprint } from '@floe/crds/nix-fingerprint';
import { makeKeyPair, signText } from '@floe/crds/nix-key';
import { expect, test } from 'vitest';
import { isContentAddressed } from './content-address.ts';
import { type PathInfo, PathInfoError, parsePathInfos } from './path-info.ts';
import { distrustedPaths, distrustedSystem } from './signed-closure.ts';

const ours = makeKeyPair('shop-floe-1');
const theirs = makeKeyPair('evil-1');
const impostor = makeKeyPair('shop-floe-1');
const top = '/nix/store/00000000000000000000000000000000-nixos-system';
const lib = '/nix/store/11111111111111111111111111111111-lib';

function info(path: string, references: string[], secrets: string[], change: Partial<PathInfo> = {}): PathInfo {
  const facts = { path, narHash: `sha256:${'0'.repeat(52)}`, narSize: 10, references };
  const text = fingerprint(facts) ?? '';
  const signatures = secrets.map((secret) => signText(text, secret) ?? '');
  return { ...facts, signatures, ...change };
}

const trusted = [ours.public];

test.each<{ name: string; infos: PathInfo[]; bad: Record<string, string> }>([
  { name: 'all signed', infos: [info(top, [lib], [ours.secret]), info(lib, [lib], [ours.secret])], bad: {} },
  { name: 'signed by two, one of them trusted', infos: [info(top, [], [theirs.secret, ours.secret])], bad: {} },
  {
    name: 'nothing signed',
    infos: [info(top, [lib], []), info(lib, [], [])],
    bad: { [top]: 'no signature', [lib]: 'no signature' },
  },
  {
    name: 'one dependency not signed',
    infos: [info(top, [lib], [ours.secret]), info(lib, [], [])],
    bad: { [lib]: 'no signature' },
  },
  { name: 'signed by somebody else', infos: [info(top, [], [theirs.secret])], bad: { [top]: 'signed by evil-1' } },
  {
    name: 'signed by another key of the same name',
    infos: [info(top, [], [impostor.secret])],
    bad: { [top]: 'not for these contents' },
  },
  {
    name: 'other contents under a good signature',
    infos: [info(top, [], [ours.secret], { narHash: `sha256:1${'0'.repeat(51)}` })],
    bad: { [top]: 'not for these contents' },
  },
  {
    name: 'another size',
    infos: [info(top, [], [ours.secret], { narSize: 11 })],
    bad: { [top]: 'not for these contents' },
  },
  {
    name: 'a reference more',
    infos: [info(top, [], [ours.secret], { references: [lib] }), info(lib, [], [ours.secret])],
    bad: { [top]: 'not for these contents' },
  },
  { name: 'a path left out of the list', infos: [info(top, [lib], [ours.secret])], bad: { [lib]: 'no record' } },
  { name: 'the closure itself left out', infos: [], bad: { [top]: 'no record' } },
  {
    name: 'a malformed record',
    infos: [info(top, [], [ours.secret], { narHash: 'md5:abc' })],
    bad: { [top]: 'malformed' },
  },
  {
    name: 'a signature of another path',
    infos: [{ ...info(top, [], []), signatures: info(lib, [], [ours.secret]).signatures }],
    bad: { [top]: 'not for these contents' },
  },
])('$name', ({ infos, bad }) => {
  const found = distrustedPaths(top, infos, trusted);
  expect(found.map(({ path }) => path).sort()).toEqual(Object.keys(bad).sort());
  for (const { path, reason } of found) expect(reason).toContain(bad[path]);
});

test.each<{ name: string; infos: PathInfo[]; bad?: string }>([
  { name: 'signed, with what it refers to', infos: [info(top, [lib], [ours.secret]), info(lib, [], [])] },
  { name: 'signed by another key', infos: [info(top, [lib], [theirs.secret])], bad: 'signed by evil-1' },
  { name: 'named by its content', infos: [info(top, [], [], { ca: 'text:sha256:x' })], bad: 'no signature' },
  { name: 'left out', infos: [], bad: 'no record' },
])('the system itself: $name', ({ infos, bad }) => {
  const found = distrustedSystem(top, infos, trusted);
  expect(found).toEqual(bad === undefined ? [] : [{ path: top, reason: expect.stringContaining(bad) }]);
});

test('without a trusted key nothing is trusted', () => {
  expect(distrustedPaths(top, [info(top, [], [ours.secret])], [])).toHaveLength(1);
});

// Told by Nix 2.26 of `nix-store --add` of a file hello.txt with the text "hello\n".
const source: PathInfo = {
  path: '/nix/store/i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt',
  narHash: 'sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=',
  narSize: 120,
  references: [],
  signatures: [],
  ca: 'fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw',
};

test('a source that is named by its content needs no signature where a signed path refers to it', () => {
  expect(isContentAddressed(source)).toBe(true);
  const closure = [info(top, [source.path], [ours.secret]), source];
  expect(distrustedPaths(top, closure, trusted)).toEqual([]);
});

test.each<{ name: string; change: Partial<PathInfo> }>([
  { name: 'other contents', change: { narHash: `sha256:${'0'.repeat(52)}` } },
  { name: 'another name', change: { path: source.path.replace(/-.*/, '-other') } },
  { name: 'other references', change: { references: [lib] } },
  { name: 'no content address', change: { ca: '' } },
  {
    name: 'a content address of its own making',
    change: { ca: `fixed:r:sha256:${'0'.repeat(52)}`, narHash: `sha256:${'0'.repeat(52)}` },
  },
  {
    name: 'a flat file, whose NAR the address does not cover',
    change: { ca: (source.ca ?? '').replace('fixed:r:', 'fixed:') },
  },
])('a path with $name is not content-addressed', ({ change }) => {
  expect(isContentAddressed({ ...source, ...change })).toBe(false);
});

test('the closure itself must be signed, also where its content names it', () => {
  expect(distrustedPaths(source.path, [source], trusted)).toHaveLength(1);
});

const hash = '0'.repeat(52);
test.each([
  {
    name: 'Nix 2.8: a list',
    text: JSON.stringify([
      { path: lib, narHash: `sha256:${hash}`, narSize: 10, references: [lib], signatures: ['a:b'], valid: true },
    ]),
  },
  {
    name: 'Nix 2.26: an object by path',
    text: JSON.stringify({
      [lib]: { narHash: `sha256:${hash}`, narSize: 10, references: [lib], signatures: ['a:b'], ultimate: true },
    }),
  },
  {
    name: 'Nix 2.33: an object by base name, hashes as objects',
    text: JSON.stringify({
      version: 2,
      storeDir: '/nix/store',
      info: {
        [lib.slice(11)]: {
          narHash: { algorithm: 'sha256', format: 'nix32', hash },
          narSize: 10,
          references: [lib.slice(11)],
          signatures: ['a:b'],
        },
      },
    }),
  },
])('path infos of $name', ({ text }) => {
  expect(parsePathInfos(text)).toEqual([
    { path: lib, narHash: `sha256:${hash}`, narSize: 10, references: [lib], signatures: ['a:b'] },
  ]);
});

test.each(['', 'null', '3', '[1]', '{"a":null}', '[{"path":"/x","valid":false}]', '{"/nix/store/x":{"narSize":1}}'])(
  '%s is no list of paths',
  (text) => expect(() => parsePathInfos(text)).toThrow(PathInfoError),
);
