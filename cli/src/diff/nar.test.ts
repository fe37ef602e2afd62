// NARs: what was packed is read again, and nothing else is taken for one.
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Files, packNar } from './diff.fixture.ts';
import { NarError, type Node, parseNar } from './nar.ts';

const { tree } = fc.letrec<{ tree: Files; folder: Files }>((tie) => ({
  tree: fc.oneof({ maxDepth: 3 }, fc.string(), fc.constant('-> /nix/store/x'), tie('folder')),
  folder: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), tie('tree'), { maxKeys: 4 }),
}));

function filesOf(node: Node): Files {
  switch (node.type) {
    case 'symlink':
      return `-> ${node.target}`;
    case 'regular':
      return node.contents.toString();
    default:
      return Object.fromEntries([...node.entries].map(([name, inner]) => [name, filesOf(inner)]));
  }
}

test('what was packed is read again', () => {
  fc.assert(
    fc.property(tree, (files) => {
      expect(filesOf(parseNar(packNar(files)))).toEqual(files);
    }),
  );
});

test('a part of one, or something else, is none', () => {
  const whole = packNar({ a: 'text', b: { c: '-> d' } });
  for (let length = 0; length < whole.length - 8; length += 8) {
    expect(() => parseNar(whole.subarray(0, length))).toThrow(NarError);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(() => parseNar(Buffer.from(bytes))).toThrow(NarError);
    }),
  );
});
