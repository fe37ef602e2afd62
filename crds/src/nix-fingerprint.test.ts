import { expect, test } from 'vitest';
import { fingerprint, isStorePath, narinfoHash } from './nix-fingerprint.ts';

const path = '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a';
const other = '/nix/store/0iacmq2d49l5qm1xgkpr982m3rd9ax08-b';
const narHash = 'sha256-EFUdrtf6Rn0LWIJufrmg8q99aT3jGfLvd1//zaJEufY=';
const base32 = 'sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h';

test.each([
  ['SRI', narHash],
  ['base 32', base32],
  ['hex', 'sha256:10551daed7fa467d0b58826e7eb9a0f2af7d693de319f2ef775fffcda244b9f6'],
])('one hash, whichever way it is written: %s', (_form, text) => {
  expect(narinfoHash(text)).toBe(base32);
});

test.each(['', 'sha256:', 'sha512:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'sha256-short=', `${base32} `])(
  'no SHA-256: "%s"',
  (text) => {
    expect(narinfoHash(text)).toBeUndefined();
  },
);

test('references are sorted and written once', () => {
  expect(fingerprint({ path, narHash, narSize: 120, references: [path, other, path] })).toBe(
    `1;${path};${base32};120;${other},${path}`,
  );
});

test.each([
  ['a path below a store path', { path: `${path}/bin` }],
  ['a reference with a comma', { references: [`${path},${other}`] }],
  ['a size with a fraction', { narSize: 1.5 }],
  ['a hash that is none', { narHash: 'sha256:zzz' }],
])('%s has no fingerprint', (_why, change) => {
  expect(fingerprint({ path, narHash, narSize: 120, references: [], ...change })).toBeUndefined();
});

test.each([
  [path, true],
  ['/nix/store/../etc/passwd', false],
  ['/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a b', false],
  ['/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax0e-a', false],
])('%s is a store path: %s', (text, expected) => {
  expect(isStorePath(text)).toBe(expected);
});
