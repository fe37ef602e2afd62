// Tests of the syntax of conditions: what is understood, what is refused and where, and that nothing throws.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCondition } from './condition.ts';

test.each([
  'result < 0.01',
  'result[0] <= 2 * result[1]',
  'result.data["error rate"] == 0 && !(result.stale)',
  "result.state == 'ok' or result.state == 'degraded'",
  'not result > 5 and len(result) > 0',
  'default(result, 0) < 1e-3',
  '-result[0] >= -.5',
  'max(result) - min(result) < 3 % 2',
  'true',
])('%s is understood', (text) => {
  expect(parseCondition(text)).toMatchObject({ ok: true });
});

test.each([
  ['', 1, 'a value is expected at the end'],
  ['result <', 9, 'a value is expected at the end'],
  ['result = 1', 8, 'use == to compare'],
  ['result & true', 8, 'use &&'],
  ['result < 1 < 2', 12, 'comparisons do not chain'],
  ['reslt < 1', 1, '"reslt" is not known; use result, or len'],
  ['constructor < 1', 1, '"constructor" is not known'],
  ['len(result, 1) > 0', 1, 'len takes 1 value'],
  ['len result', 5, '( is expected before "result"'],
  ['(result', 8, ') is expected at the end'],
  ['result[0', 9, '] is expected at the end'],
  ['result 1', 8, 'an operator is expected before "1"'],
  ['result.1', 7, 'an operator is expected before ".1"'],
  ['"open', 1, 'the text has no end'],
  ['result # 1', 8, '"#" is not understood'],
  [`${'('.repeat(50)}1${')'.repeat(50)}`, 42, 'nested too deeply'],
  ['1+'.repeat(600), 1024, 'longer than 1024 characters'],
])('%s is refused at character %i: %s', (text, position, message) => {
  const parsed = parseCondition(text);
  expect(parsed).toMatchObject({ ok: false, position });
  expect(parsed.ok ? '' : parsed.message).toContain(message);
});

test('&& binds closer than ||, not weaker than comparisons, ! closer than all', () => {
  expect(parseCondition('true || false && false')).toMatchObject({ ok: true, expression: { operator: '||' } });
  expect(parseCondition('not 1 < 2')).toMatchObject({ ok: true, expression: { kind: 'not', of: { operator: '<' } } });
  expect(parseCondition('!result == true')).toMatchObject({ expression: { operator: '==', left: { kind: 'not' } } });
});

const pieces = fc.constantFrom(
  'result',
  '[',
  ']',
  '(',
  ')',
  '.',
  'a',
  '0',
  '1e9',
  '"x"',
  "'",
  '&&',
  '||',
  '!',
  'not ',
  'and',
  '<',
  '==',
  '-',
  '+',
  '*',
  'len(',
  'default(',
  ',',
  ' ',
);

test('whatever is given, it is understood or refused at a place within it', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 40 }).map((list) => list.join('')),
      ),
      (text) => {
        const parsed = parseCondition(text);
        if (parsed.ok) return;
        expect(parsed.position).toBeGreaterThan(0);
        expect(parsed.position).toBeLessThanOrEqual(text.length + 1);
        expect(parsed.message).not.toBe('');
      },
    ),
    { numRuns: 2000 },
  );
});
