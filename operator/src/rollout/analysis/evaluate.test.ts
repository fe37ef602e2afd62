// Tests of conditions over results: three-valued logic, what has no value, and that nothing throws.
import { parseCondition } from '@floe/crds/condition';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holds, type Truth } from './evaluate.ts';
import { judge } from './judge.ts';

function truth(text: string, result: unknown): Truth {
  const parsed = parseCondition(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return holds(parsed.expression, result);
}

test.each<[string, unknown, Truth]>([
  ['result < 0.01', [0.005], 'true'],
  ['result[0] < 0.01', [0.005], 'true'],
  ['result[0] < 0.01', 0.02, 'false'],
  ['result[0] < 0.01', [], 'unknown'],
  ['result < 0.01', [0.1, 0.2], 'unknown'],
  ['max(result) < 0.3', [0.1, 0.2], 'true'],
  ['avg(result) == 0.5', [0, 1], 'true'],
  ['result[0] < 1', [Number.NaN], 'unknown'],
  ['result[0] == result[0]', [Number.NaN], 'unknown'],
  ['isNaN(result)', [Number.NaN], 'true'],
  ['isNaN(result)', [1], 'false'],
  ['isNaN(result)', [], 'unknown'],
  ['len(result) == 0 || result[0] < 1', [], 'true'],
  ['len(result) > 0 && result[0] < 1', [], 'false'],
  ['result[0] < 1 || len(result) == 0', [], 'true'],
  ['!(result[0] < 1)', [], 'unknown'],
  ['default(result, 0) < 1', [], 'true'],
  ['default(result, 0) < 1', [Number.NaN], 'true'],
  ['result[0] <= 2 * result[1]', [1, 0.6], 'true'],
  ['result[0] > 5', [Number.POSITIVE_INFINITY], 'true'],
  ['result.status == "ok"', { status: 'ok' }, 'true'],
  ['result.status == "ok"', { status: 'bad' }, 'false'],
  ['result.status == "ok"', {}, 'unknown'],
  ['result.constructor == null', {}, 'unknown'],
  ['result["__proto__"] == null', {}, 'unknown'],
  ['result.items[1].n > 1', { items: [{ n: 1 }, { n: 2 }] }, 'true'],
  ['result.error == null', { error: null }, 'true'],
  ['result', true, 'true'],
  ['result', 'true', 'unknown'],
  ['result == "1"', 1, 'false'],
  ['result < 2', '1', 'unknown'],
  ['number(result) < 2', '1', 'true'],
  ['number(result) < 2', 'x', 'unknown'],
  ['1 / 0 > 1', 0, 'true'],
  ['0 / 0 > 1', 0, 'unknown'],
  ['result && true', 1, 'unknown'],
  ['len(result) == 2', 'ab', 'true'],
])('%s over %j is %s', (text, result, expected) => {
  expect(truth(text, result)).toBe(expected);
});

test('a condition and its negation never both hold, whatever the result is', () => {
  const text = fc.constantFrom(
    'result < 1',
    'result.a == "x"',
    'result[0] > result[1]',
    'len(result) > 1 || result',
    'min(result) > 0',
  );
  fc.assert(
    fc.property(text, fc.oneof(fc.jsonValue(), fc.array(fc.double()), fc.double()), (condition, result) => {
      const [a, b] = [truth(condition, result), truth(`!(${condition})`, result)];
      expect([a, b].sort()).toEqual(a === 'unknown' ? ['unknown', 'unknown'] : ['false', 'true']);
    }),
    { numRuns: 2000 },
  );
});

type Conditions = { successCondition?: string; failureCondition?: string };
const both: Conditions = { successCondition: 'result < 1', failureCondition: 'result > 5' };

test.each<[Conditions, unknown, string]>([
  [{}, [1], 'Successful'],
  [{}, [], 'Inconclusive'],
  [{}, [Number.NaN], 'Inconclusive'],
  [{}, 'text', 'Successful'],
  [{ successCondition: 'result < 1' }, [0], 'Successful'],
  [{ successCondition: 'result < 1' }, [2], 'Failed'],
  [{ successCondition: 'result < 1' }, [], 'Inconclusive'],
  [{ failureCondition: 'result > 5' }, [6], 'Failed'],
  [{ failureCondition: 'result > 5' }, [2], 'Successful'],
  [{ failureCondition: 'result > 5' }, [], 'Inconclusive'],
  [both, [0], 'Successful'],
  [both, [6], 'Failed'],
  [both, [3], 'Inconclusive'],
  [both, [Number.NaN], 'Inconclusive'],
  [{ successCondition: 'len(result) == 0', failureCondition: 'result > 5' }, [], 'Successful'],
  [{ successCondition: 'result <' }, [1], 'Error'],
])('%j over %j is %s', ({ successCondition, failureCondition }, result, expected) => {
  expect(judge({ successCondition, failureCondition }, result).result).toBe(expected);
});
