import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nixString } from './nix-string.ts';

test.each([
  ['plain', '"plain"'],
  ['a"b', '"a\\"b"'],
  ['$' + '{builtins.abort "x"}', '"\\$' + '{builtins.abort \\"x\\"}"'],
  ['$$' + '{x}', '"$\\$' + '{x}"'],
  ['a\\b\nc', '"a\\\\b\\nc"'],
])('%s', (text, expected) => {
  expect(nixString(text)).toBe(expected);
});

test('nothing ends the string or begins an interpolation', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', '"', '\\', 'a', '\n') }), (text) => {
      const inside = nixString(text).slice(1, -1).replace(/\\./g, '_');
      expect(inside).not.toMatch(/"|\$\{/);
    }),
  );
});
