import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type JsonLimits, JsonObjectReader, JsonRefused, readJsonObject } from './json-object-reader.ts';

const WIDE: JsonLimits = { bytes: 16 << 20, entries: 50_000, entryBytes: 1 << 20, entryTokens: 10_000 };

async function* pieces(text: string | Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = (text: string, size?: number, limits = WIDE) => readJsonObject(pieces(text, size), limits);

describe('what is read', () => {
  test('is what JSON.parse makes of it, however it is cut and spaced', async () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(
        object,
        fc.integer({ min: 1, max: 9 }),
        fc.constantFrom(0, 2, '\t'),
        async (value, size, space) => {
          const text = JSON.stringify(value, null, space);
          expect(await read(text, size)).toEqual(JSON.parse(text));
        },
      ),
    );
  });

  test('is refused exactly where JSON.parse refuses it, or where it is no object', async () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b{,"',
      '1',
      'true',
      ' ',
      '"',
      '\\',
      'x',
      '{"a":',
      '{}',
    );
    const isObject = (text: string) => {
      try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null && !Array.isArray(value);
      } catch {
        return false;
      }
    };
    await fc.assert(
      fc.asyncProperty(fc.array(token, { maxLength: 9 }), async (tokens) => {
        const text = `{${tokens.join('')}}`;
        const taken = await read(text, 3).then(
          () => true,
          (error) => {
            expect(error).toBeInstanceOf(JsonRefused);
            return false;
          },
        );
        expect(taken).toBe(isObject(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('names like methods stay names', async () => {
    const text = '{"closures":{"__proto__":"a","constructor":"b"},"__proto__":{"x":1}}';
    expect(JSON.stringify(await read(text))).toBe(text);
  });
});

describe('what is refused', () => {
  const small: JsonLimits = { bytes: 1000, entries: 3, entryBytes: 100, entryTokens: 4 };
  test.each<[string, string, number]>([
    ['a list', '[{},{}]', 400],
    ['nothing', '', 400],
    ['half an object', '{"a":1', 400],
    ['two objects', '{}{}', 400],
    ['too many bytes', `{"a":"${'x'.repeat(1000)}"}`, 413],
    ['too many fields', '{"a":{"b":1,"c":2},"d":3}', 413],
    ['a field that is too large', `{"a":"${'x'.repeat(100)}"}`, 413],
    ['a field that holds too much', '{"a":[1,2,3,4,5]}', 413],
  ])('%s', async (_, text, status) => {
    await expect(read(text, undefined, small)).rejects.toMatchObject({ status });
  });

  test('as soon as it is seen', () => {
    expect(() => new JsonObjectReader(WIDE).push(Buffer.from('[{}'))).toThrow(JsonRefused);
  });
});

test('others get their turn while a body of 16 MiB is read', async () => {
  const closures = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`m${i}`, 'x'.repeat(390)]));
  const text = JSON.stringify({ closures });
  let turns = 0;
  let running = true;
  const counting = (async () => {
    while (running) {
      await nextTurn();
      turns += 1;
    }
  })();
  // All bytes are there at once, as from a sender that is faster than the reader.
  const value = await readJsonObject(pieces(text, text.length), WIDE);
  running = false;
  await counting;
  expect(Object.keys((value as { closures: object }).closures)).toHaveLength(40_000);
  expect(turns).toBeGreaterThanOrEqual(Math.floor(text.length / (64 * 1024)));
});
