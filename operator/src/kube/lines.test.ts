// Tests of splitting a stream into lines.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitLines } from './lines.ts';

async function split(chunks: Uint8Array[], longest?: number): Promise<string[]> {
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const lines: string[] = [];
  for await (const line of splitLines(stream(), longest)) {
    lines.push(line);
  }
  return lines;
}

test('lines are the same wherever the stream is cut', async () => {
  const text = fc.array(fc.string({ unit: 'grapheme' }).map((line) => line.replace(/[\r\n]/g, '')));
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat({ max: 40 })), async (lines, cuts) => {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(bytes.subarray(at));
      expect(await split(chunks)).toEqual(lines);
    }),
  );
});

test('an end without a line end is a line', async () => {
  expect(await split([Buffer.from('a\r\nb')])).toEqual(['a', 'b']);
});

test('a line without end comes in pieces instead of filling the memory', async () => {
  const pieces = await split(Array(10).fill(Buffer.from('x'.repeat(100))), 250);
  expect(pieces.length).toBeGreaterThan(2);
  expect(pieces.join('')).toBe('x'.repeat(1000));
});
