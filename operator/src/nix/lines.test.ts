import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lines } from './lines.ts';

function linesOf(pieces: readonly string[], maxLength: number): string[] {
  const found: string[] = [];
  const lines = new Lines((line) => found.push(line), maxLength);
  for (const piece of pieces) lines.add(piece);
  lines.end();
  return found;
}

test('the same lines, wherever the stream is cut', () => {
  const texts = fc.array(fc.constantFrom('a', 'bc', '\n', '\r\n', '\n\n'), { maxLength: 20 });
  fc.assert(
    fc.property(texts, fc.nat(40), (parts, cut) => {
      const text = parts.join('');
      expect(linesOf([text.slice(0, cut), text.slice(cut)], 100)).toEqual(linesOf([text], 100));
      const expected = text.replaceAll('\r\n', '\n').split('\n');
      expect(linesOf([text], 100)).toEqual(expected.at(-1) === '' ? expected.slice(0, -1) : expected);
    }),
  );
});

test('a line without end is kept up to its limit', () => {
  expect(linesOf([...Array<string>(1000).fill('x'.repeat(100)), '\nnext'], 50)).toEqual(['x'.repeat(50), 'next']);
});
