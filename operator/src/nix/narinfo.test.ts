import { findSigner, makeKeyPair, signText } from '@floe/crds/nix-key';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { narinfoFingerprint, parseNarinfo, printNarinfo, sameContent } from './narinfo.ts';
import { hashPart, plainName } from './store-path.ts';

const hash = 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h';
const text = `StorePath: /nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a
URL: nar/1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h.nar.zst
Compression: zstd
FileHash: ${hash}
FileSize: 96
NarHash: ${hash}
NarSize: 120
References: 0iacmq2d49l5qm1xgkpr982m3rd9ax08-b miacmq2d49l5qm1xgkpr982m3rd9ax08-a
Deriver: 5iacmq2d49l5qm1xgkpr982m3rd9ax08-a.drv
Sig: test-1:AAAA
`;

function parsed(source: string) {
  const result = parseNarinfo(source);
  if (!result.ok) throw new Error(`${result.field}: ${result.message}`);
  return result.value;
}

test('reads and writes what Nix writes', () => {
  const info = parsed(text);
  expect(info.references).toEqual([
    '/nix/store/0iacmq2d49l5qm1xgkpr982m3rd9ax08-b',
    '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a',
  ]);
  expect(info.fileSize).toBe(96);
  expect(printNarinfo(info)).toBe(text);
});

test('a signature over the fingerprint holds after a round trip', () => {
  const pair = makeKeyPair('k-1');
  const info = parsed(text);
  const signed = { ...info, signatures: [signText(narinfoFingerprint(info), pair.secret) ?? ''] };
  const again = parsed(printNarinfo(signed));
  expect(findSigner(narinfoFingerprint(again), again.signatures, [pair.public])).toBe(pair.public);
});

test.each([
  ['no line', '', 'line 1'],
  ['a line without a name', `${text}junk\n`, 'line 11'],
  ['a field twice', `${text}NarSize: 1\n`, 'NarSize'],
  ['a path outside the store', text.replace('/nix/store/mi', '/etc/mi'), 'StorePath'],
  ['no address', text.replace(/URL: .*/, 'URL: '), 'URL'],
  ['a hash of another kind', text.replace(`NarHash: ${hash}`, 'NarHash: md5:abc'), 'NarHash'],
  ['a negative size', text.replace('NarSize: 120', 'NarSize: -1'), 'NarSize'],
  ['a size beyond what is exact', text.replace('NarSize: 120', 'NarSize: 9999999999999999'), 'NarSize'],
  ['a reference with a slash', text.replace('0iacmq', '../0iacmq'), 'References'],
  ['a file size that is none', text.replace('FileSize: 96', 'FileSize: many'), 'FileSize'],
])('%s: names the field', (_why, source, field) => {
  expect(parseNarinfo(source)).toMatchObject({ ok: false, field });
});

test('never throws, whatever comes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (junk) => {
      parseNarinfo(junk);
      const result = parseNarinfo(text + junk);
      if (result.ok) printNarinfo(result.value);
    }),
  );
});

test('content is the same when only signatures and compression differ', () => {
  const info = parsed(text);
  expect(sameContent(info, { ...info, signatures: [], compression: 'xz', url: 'nar/x' })).toBe(true);
  expect(sameContent(info, { ...info, narSize: 121 })).toBe(false);
});

test('parts of store paths', () => {
  expect(hashPart('/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a')).toBe('miacmq2d49l5qm1xgkpr982m3rd9ax08');
  expect(hashPart('/nix/store/x')).toBeUndefined();
  expect(plainName('/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-nginx-1.28.drv')).toBe('nginx-1.28');
});
