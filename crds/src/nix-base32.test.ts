import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromNixBase32, nixBase32Length, toNixBase32 } from './nix-base32.ts';

// Made with `nix hash to-base32 --type sha256` of Nix 2.26.
test('writes the SHA-256 of nothing as Nix does', () => {
  const bytes = Buffer.from('47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=', 'base64');
  expect(toNixBase32(bytes)).toBe('0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73');
});

test('reads back what it wrote, for every length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const text = toNixBase32(bytes);
      expect(text).toHaveLength(nixBase32Length(bytes.length));
      expect(fromNixBase32(text, bytes.length)).toEqual(bytes);
    }),
  );
});

test('one hash has one text', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'0123456789abcdfghijklmnpqrsvwxyz'), minLength: 52, maxLength: 52 }),
      (text) => {
        const bytes = fromNixBase32(text, 32);
        if (bytes !== undefined) expect(toNixBase32(bytes)).toBe(text);
      },
    ),
  );
});

test.each([
  ['too short', '0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c7'],
  ['a letter outside the alphabet', 'emdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73'],
  ['bits past the end', 'zmdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73'],
  ['nothing', ''],
])('refuses %s', (_why, text) => {
  expect(fromNixBase32(text, 32)).toBeUndefined();
});
