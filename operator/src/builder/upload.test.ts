import { makeKeyPair, signText } from '@floe/crds/nix-key';
import { beforeEach, expect, test } from 'vitest';
import { type Narinfo, narinfoFingerprint } from '../nix/narinfo.ts';
import type { Ended } from '../nix/process.ts';
import type { CacheReader } from './binary-cache.ts';
import type { Nix, NixCall } from './nix.ts';
import { BUILDER_PATHS } from './paths.ts';
import { Progress } from './progress.ts';
import type { Scratch } from './scratch.ts';
import { type UploadPorts, uploadClosures, withCompression } from './upload.ts';

const key = makeKeyPair('k-1');
const narHash = 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h';
const otherHash = 'sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73';
const path = (name: string) => `/nix/store/${name.repeat(32)}-x`;
const ended = (change: Partial<Ended> = {}): Ended => ({
  code: 0,
  endedBy: null,
  timedOut: false,
  stdout: '',
  stderr: '',
  ...change,
});

let calls: { verb: string; named: string[] }[];
beforeEach(() => {
  calls = [];
});

/** A volume that holds the paths 1 and 2, and Nix commands that end as told. */
function fakeNix(ends: Record<string, Ended> = {}): Nix {
  const nix: Nix = {
    async run(call: NixCall) {
      const verb = call.args[0] === 'store' ? `store ${call.args[1]}` : (call.args[0] ?? '');
      if (verb === 'path-info') {
        const named = call.args.includes('--recursive') ? [path('1'), path('2')] : (call.input ?? '').split('\n');
        const known = [path('1'), path('2')];
        return ended({
          stdout: JSON.stringify(
            Object.fromEntries(named.map((name) => [name, known.includes(name) ? { narHash } : null])),
          ),
        });
      }
      const where = call.args.includes('--store') ? `${verb} there` : verb;
      calls.push({ verb: where, named: (call.input ?? '').split('\n').sort() });
      return ends[where] ?? ended();
    },
    output: async (call, options) => (await nix.run(call, options)).stdout,
  };
  return nix;
}

function infoOf(name: string, change: Partial<Narinfo> = {}): Narinfo {
  const info: Narinfo = {
    storePath: path(name),
    url: 'nar/x',
    compression: 'zstd',
    fileHash: undefined,
    fileSize: 1,
    narHash,
    narSize: 1,
    references: [],
    signatures: [],
    rest: [],
    ...change,
  };
  return { ...info, signatures: change.signatures ?? [signText(narinfoFingerprint(info), key.secret) ?? ''] };
}

function ports(nix: Nix, there: Narinfo[]): UploadPorts {
  const reader: CacheReader = {
    async narinfo(which) {
      const info = there.find((each) => each.storePath === which);
      return info === undefined ? { kind: 'missing' } : { kind: 'found', info };
    },
    hasNar: async () => true,
    close: async () => undefined,
  };
  const output = { write: () => undefined, now: () => 0 };
  const cache = { url: 'http://cache/a', substituter: 'http://cache/a', publicKey: key.public };
  const request = { cache } as UploadPorts['context']['request'];
  const scratch: Scratch = { folder: '/t', home: '/t', secret: async (name) => name, remove: async () => undefined };
  const context = {
    request,
    paths: BUILDER_PATHS,
    scratch,
    output,
    progress: new Progress('Pushing', output),
    env: {},
    signal: new AbortController().signal,
  };
  return { nix, reader, keyFile: '/key', context };
}

test('what the cache lacks is hashed, signed and uploaded, in this order', async () => {
  await uploadClosures([path('1')], ports(fakeNix(), [infoOf('2')]));
  expect(calls).toEqual([
    { verb: 'store verify', named: [path('1')] },
    { verb: 'store sign', named: [path('1')] },
    { verb: 'copy', named: [path('1')] },
  ]);
});

test('what is there without our signature is signed there, after its content was hashed here', async () => {
  await uploadClosures([path('1')], ports(fakeNix(), [infoOf('1'), infoOf('2', { signatures: ['other-1:AAAA'] })]));
  expect(calls.map((call) => call.verb)).toEqual(['store verify', 'store sign', 'store sign there']);
  expect(calls.every((call) => call.named.join() === path('2'))).toBe(true);
});

test('nothing is done where everything is there, or lies in the cache alone', async () => {
  await uploadClosures([path('1')], ports(fakeNix(), [infoOf('1'), infoOf('2')]));
  await uploadClosures([path('9')], ports(fakeNix(), []));
  expect(calls).toEqual([]);
});

test('other content under the same path is refused before anything is signed', async () => {
  const upload = uploadClosures([path('1')], ports(fakeNix(), [infoOf('2', { narHash: otherHash })]));
  await expect(upload).rejects.toThrow('other content');
  expect(calls).toEqual([]);
});

test('a path that was changed after its build is named, and nothing is signed', async () => {
  const nix = fakeNix({
    'store verify': ended({
      code: 1,
      stderr: `path '${path('1')}' was modified! expected hash 'sha256:a', got 'sha256:b'\n`,
    }),
  });
  await expect(uploadClosures([path('1')], ports(nix, []))).rejects.toThrow(`${path('1')} was changed`);
  expect(calls.map((call) => call.verb)).toEqual(['store verify']);
});

test('a full cache ends it at once', async () => {
  const nix = fakeNix({
    copy: ended({
      code: 1,
      stderr: "error: unable to upload 'x': HTTP error 507\n\n response body:\n\n  the cache is full: 1 of 1",
    }),
  });
  await expect(uploadClosures([path('1')], ports(nix, []))).rejects.toThrow('is full: 1 of 1');
  expect(calls.filter((call) => call.verb === 'copy')).toHaveLength(1);
});

test('a crash of Nix is no answer: it is tried again, and the next words count', async () => {
  const ends = [
    ended({ code: 1, endedBy: 'SIGABRT', stderr: 'nix: callback.hh:45: Assertion !prev failed.' }),
    ended({ code: 1, stderr: "error: unable to upload 'x': HTTP error 507\n\n response body:\n\n  full: 1 of 1" }),
  ];
  const nix = fakeNix();
  const crashing: Nix = {
    ...nix,
    run: async (call, options) => (call.args[0] === 'copy' ? (ends.shift() ?? ended()) : nix.run(call, options)),
  };
  await expect(uploadClosures([path('1')], ports(crashing, []))).rejects.toThrow('is full: full: 1 of 1');
  expect(ends).toEqual([]);
});

test.each([
  ['http://cache/a', 'http://cache/a?compression=zstd'],
  ['s3://bucket?region=x', 's3://bucket?region=x&compression=zstd'],
  ['file:///srv?compression=none', 'file:///srv?compression=none'],
  ['ssh-ng://host', 'ssh-ng://host'],
])('%s becomes %s', (url, expected) => {
  expect(withCompression(url)).toBe(expected);
});

test('a record whose file is gone is not taken for the path', async () => {
  const of = ports(fakeNix(), [infoOf('2')]);
  const upload = uploadClosures([path('1')], { ...of, reader: { ...of.reader, hasNar: async () => false } });
  await expect(upload).rejects.toMatchObject({
    message: expect.stringContaining('lacks its file nar/x'),
    remedy: expect.stringContaining(`delete ${'2'.repeat(32)}.narinfo`),
  });
  expect(calls).toEqual([]);
});
