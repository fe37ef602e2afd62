import { expect, test } from 'vitest';
import { fingerprint } from './nix-fingerprint.ts';
import { findSigner, isPublicKey, makeKeyPair, publicKeyOf, signText } from './nix-key.ts';

// Made with Nix 2.26: `nix-store --generate-binary-cache-key`, `nix store sign`, `nix path-info --json`.
const secret = 'test-1:aPu8sGc02GzPfXqW+5XqPM49i9EGG5uyaO7gtjlXiIc53izX+FAzSCrB1lNzewiW2bfimti4hI6Stokyxu0zVg==';
const key = 'test-1:Od4s1/hQM0gqwdZTc3sIltm34prYuISOkraJMsbtM1Y=';
const signature = 'test-1:yItBGSH6FLgmivnJGwhnjPJt+1C/V9MXi1WSHybj0gS+7VhsYYftoM+dhWS8p1E5iNDqoNPlZr+IOQgaHVL4Bw==';
const facts = {
  path: '/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-a',
  narHash: 'sha256-EFUdrtf6Rn0LWIJufrmg8q99aT3jGfLvd1//zaJEufY=',
  narSize: 120,
  references: [],
};
const text = fingerprint(facts) ?? '';

test('signs as Nix does', () => {
  expect(signText(text, secret)).toBe(signature);
  expect(publicKeyOf(secret)).toBe(key);
});

test('finds who signed, whatever else is listed', () => {
  const stranger = makeKeyPair('stranger-1');
  const foreign = signText(text, stranger.secret) ?? '';
  expect(findSigner(text, ['junk', foreign, signature], ['junk', key])).toBe(key);
  expect(findSigner(text, [foreign], [key])).toBeUndefined();
  expect(findSigner(`${text}x`, [signature], [key])).toBeUndefined();
  expect(findSigner(text, [], [key])).toBeUndefined();
});

test('a key of the same name that another one made is refused', () => {
  const impostor = makeKeyPair('test-1');
  expect(findSigner(text, [signText(text, impostor.secret) ?? ''], [key])).toBeUndefined();
});

test('a new pair belongs together', () => {
  const pair = makeKeyPair('team-a-floe-1');
  expect(publicKeyOf(pair.secret)).toBe(pair.public);
  expect(isPublicKey(pair.public)).toBe(true);
});

test.each(['', 'a:b', 'a b', 'a\n'])('"%s" names no key', (name) => {
  expect(() => makeKeyPair(name)).toThrow(RangeError);
});

test.each([
  ['halves of two keys', () => `x:${secret.slice(7, 49)}${makeKeyPair('x').secret.slice(44)}`],
  ['a public key', () => key],
  ['nothing', () => ''],
])('%s is no secret key', (_why, text) => {
  expect(publicKeyOf(text())).toBeUndefined();
});
