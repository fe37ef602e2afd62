import { expect, test } from 'vitest';
import { plainText, plainValue } from './plain-text.ts';

test.each([
  ['plain', 'plain'],
  ['two\n\tlines', 'two\n\tlines'],
  ['\u001b[31mred\u001b[0m', 'red'],
  ['\u001b]0;title\u0007', ']0;title'],
  ['over\rwritten', 'overwritten'],
  ['\u009b2J and \u0085', '2J and '],
  ['\u0000\u007f', ''],
  ['ü 漢 🧊', 'ü 漢 🧊'],
  [`\u001b[${'0;'.repeat(50_000)}`, `[${'0;'.repeat(50_000)}`],
])('%j', (text, wanted) => {
  expect(plainText(text)).toBe(wanted);
});

test('every text within a value', () => {
  expect(plainValue({ 'a\u001b': ['b\u0007', 1, null, { c: '\u001b[2Jd' }] })).toEqual({
    a: ['b', 1, null, { c: 'd' }],
  });
});
