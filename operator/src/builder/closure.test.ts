import { makeKeyPair, signText } from '@floe/crds/nix-key';
import { expect, test } from 'vitest';
import { type Narinfo, narinfoFingerprint } from '../nix/narinfo.ts';
import { type CacheReader, CacheUnreachable } from './binary-cache.ts';
import { checkClosures } from './closure.ts';

const key = makeKeyPair('k-1');
const path = (name: string) => `/nix/store/${name.repeat(32).slice(0, 32)}-x`;

function entry(name: string, references: string[], secret = key.secret): [string, Narinfo] {
  const info: Narinfo = {
    storePath: path(name),
    url: `nar/${name}`,
    compression: 'zstd',
    fileHash: undefined,
    fileSize: 1,
    narHash: 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h',
    narSize: 100,
    references: references.map(path),
    signatures: [],
    rest: [],
  };
  return [path(name), { ...info, signatures: [signText(narinfoFingerprint(info), secret) ?? ''] }];
}

function cache(entries: [string, Narinfo][], withoutNar: string[] = []): CacheReader & { asked: string[] } {
  const infos = new Map(entries);
  const asked: string[] = [];
  return {
    asked,
    async narinfo(which) {
      asked.push(which);
      const info = infos.get(which);
      return info === undefined ? { kind: 'missing' } : { kind: 'found', info };
    },
    hasNar: async (info) => !withoutNar.includes(info.url),
    close: async () => undefined,
  };
}

test('complete closures: every path is asked for once, and counted once', async () => {
  const reader = cache([entry('1', ['2', '1']), entry('2', ['3']), entry('3', ['2']), entry('4', ['3'])]);
  const check = await checkClosures([path('1'), path('4'), path('1')], reader, key.public);
  expect(check).toEqual({ problems: new Map(), bytes: 400, paths: 4 });
  expect(reader.asked.sort()).toEqual(['1', '2', '3', '4'].map(path));
});

test.each<[string, CacheReader, string]>([
  ['a path that is missing', cache([entry('1', ['2'])]), 'is not in the cache'],
  [
    'a signature by somebody else',
    cache([entry('1', ['2']), entry('2', [], makeKeyPair('k-1').secret)]),
    'is not signed by k-1',
  ],
  ['a NAR that is missing', cache([entry('1', ['2']), entry('2', [])], ['nar/2']), 'nar/2 is not in the cache'],
])('%s makes all closures over it incomplete, and no other', async (_what, reader, words) => {
  const infos = cache([entry('4', [])]);
  const both: CacheReader = {
    ...reader,
    narinfo: async (which) => (which === path('4') ? infos.narinfo(which) : reader.narinfo(which)),
  };
  const check = await checkClosures([path('1'), path('4')], both, key.public);
  expect([...check.problems.keys()]).toEqual([path('1')]);
  expect(check.problems.get(path('1'))).toContain(words);
  expect(check.bytes).toBe(100);
});

test('a cache that is away is no incomplete closure', async () => {
  const away: CacheReader = { ...cache([]), narinfo: async () => Promise.reject(new CacheUnreachable('away')) };
  await expect(checkClosures([path('1')], away, key.public)).rejects.toThrow(CacheUnreachable);
});
