import fc from 'fast-check';
import { expect, test } from 'vitest';
import { narFileOf, parseAddress } from './address.ts';

const hash = 'miacmq2d49l5qm1xgkpr982m3rd9ax08';
const file = `${'0'.repeat(52)}.nar.zst`;

test.each([
  ['/team-a/nix-cache-info', { kind: 'info', namespace: 'team-a' }],
  ['/team-a/nix-cache-info?x=1', { kind: 'info', namespace: 'team-a' }],
  [`/a/${hash}.narinfo`, { kind: 'narinfo', namespace: 'a', hash }],
  [`/a/nar/${file}`, { kind: 'nar', namespace: 'a', file, fileHash: '0'.repeat(52) }],
  [
    `/a/nar/${'0'.repeat(52)}.nar`,
    { kind: 'nar', namespace: 'a', file: `${'0'.repeat(52)}.nar`, fileHash: '0'.repeat(52) },
  ],
])('%s', (target, expected) => {
  expect(parseAddress(target)).toEqual(expected);
});

test.each([
  '/',
  '/nix-cache-info',
  '/../nix-cache-info',
  '/./nix-cache-info',
  '/.tmp/nix-cache-info',
  '/A/nix-cache-info',
  '/a//nix-cache-info',
  '/a/../b/nix-cache-info',
  '/a%2fb/nix-cache-info',
  '/a/nix-cache-info/',
  `/a/../${hash}.narinfo`,
  `/a/%2e%2e/${hash}.narinfo`,
  `/a/${hash}.narinfo\n`,
  `/a/${'e'.repeat(32)}.narinfo`,
  `/a/nar/../${file}`,
  `/a/nar/${file}/../../x`,
  `/a/nar/${'0'.repeat(52)}.nar.sh`,
  `/a/nar/.${file}`,
  `\\a\\nar\\${file}`,
])('%s is no address', (target) => {
  expect(parseAddress(target)).toBeUndefined();
});

test('an address never leads out of its folder', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('/', '.', '..', '%2e', 'a', hash, '.narinfo', 'nar', file, '\0') }),
      (target) => {
        const address = parseAddress(target);
        if (address === undefined) return;
        expect(address.namespace).toMatch(/^[a-z0-9-]{1,63}$/);
        if (address.kind === 'nar') expect(address.file).not.toMatch(/[/\\]|\.\./);
      },
    ),
  );
});

test('the address in a narinfo', () => {
  expect(narFileOf(`nar/${file}`)).toEqual({ file, fileHash: '0'.repeat(52) });
  expect(narFileOf(`../nar/${file}`)).toBeUndefined();
  expect(narFileOf(`https://elsewhere.example/nar/${file}`)).toBeUndefined();
});
