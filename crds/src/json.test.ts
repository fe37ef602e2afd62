import { expect, test } from 'vitest';
import { parseJson } from './json.ts';

test.each([
  ['{"a":[1]}', { a: [1] }],
  ['null', null],
  ['', undefined],
  ['{"a":', undefined],
  ['undefined', undefined],
])('%j', (text, value) => {
  expect(parseJson(text)).toEqual(value);
});
