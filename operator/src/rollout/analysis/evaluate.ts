// Evaluates a condition over what was measured: total, bounded, and honest about what it can't know.
import type { BinaryOperator, Expression, FunctionName } from '@floe/crds/condition';

/** What an expression comes to: a JSON value, or undefined where that can't be known. */
type Value = unknown;
export type Truth = 'true' | 'false' | 'unknown';

/**
 * Whether the condition holds for `result`. What has no value (an element or a field that is not there, NaN, text that is
 * compared with a number) makes what it is part of unknown; `&&` and `||` are known where one side decides. A list of one
 * value counts as that value.
 */
export function holds(condition: Expression, result: unknown): Truth {
  const value = valueIn(condition, result);
  if (value === true) return 'true';
  return value === false ? 'false' : 'unknown';
}

function valueIn(expression: Expression, result: unknown): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'result':
      return result;
    case 'index':
      return elementOf(valueIn(expression.of, result), single(valueIn(expression.at, result)));
    case 'not': {
      const of = single(valueIn(expression.of, result));
      return typeof of === 'boolean' ? !of : undefined;
    }
    case 'minus': {
      const of = numberOf(valueIn(expression.of, result));
      return of === undefined ? undefined : -of;
    }
    case 'binary':
      return binary(
        expression.operator,
        () => valueIn(expression.left, result),
        () => valueIn(expression.right, result),
      );
    case 'call':
      return call(
        expression.name,
        expression.args.map((arg) => valueIn(arg, result)),
      );
    default:
      return expression satisfies never;
  }
}

function binary(operator: BinaryOperator, left: () => Value, right: () => Value): Value {
  if (operator === '&&' || operator === '||') {
    const decides = operator === '||';
    const [a, b] = [single(left()), single(right())];
    if (a === decides || b === decides) return decides;
    return typeof a === 'boolean' && typeof b === 'boolean' ? !decides : undefined;
  }
  if (operator === '==' || operator === '!=') return equality(operator, single(left()), single(right()));
  return arithmetic(operator, left(), right());
}

/** Values of different kinds are not equal; what has no value, and what is no plain value, can't be compared. */
function equality(operator: '==' | '!=', a: Value, b: Value): Value {
  const isPlain = (value: Value) => (typeof value === 'object' ? value === null : value !== undefined);
  if (!isPlain(a) || !isPlain(b) || Number.isNaN(a) || Number.isNaN(b)) return undefined;
  return (a === b) === (operator === '==');
}

type Arithmetic = Exclude<BinaryOperator, '&&' | '||' | '==' | '!='>;

function arithmetic(operator: Arithmetic, left: Value, right: Value): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) return undefined;
  switch (operator) {
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    default:
      return operator satisfies never;
  }
}

function call(name: FunctionName, [first, second]: readonly Value[]): Value {
  switch (name) {
    case 'len':
      return Array.isArray(first) || typeof first === 'string' ? first.length : undefined;
    case 'isNaN':
      return typeof single(first) === 'number' ? Number.isNaN(single(first)) : undefined;
    case 'number':
      return parsedNumber(single(first));
    case 'default':
      return isAbsent(first) ? second : first;
    case 'abs': {
      const value = numberOf(first);
      return value === undefined ? undefined : Math.abs(value);
    }
    default:
      return overAll(name, Array.isArray(first) ? first : [first]);
  }
}

/** NaN stands for no value, and so does an empty list. */
function isAbsent(value: Value): boolean {
  const one = single(value);
  return one === undefined || one === null || Number.isNaN(one) || (Array.isArray(one) && one.length === 0);
}

function overAll(name: 'min' | 'max' | 'sum' | 'avg', list: readonly Value[]): Value {
  const numbers = list.map(numberOf);
  if (numbers.length === 0 || !numbers.every((value) => value !== undefined)) return undefined;
  const sum = (): number => numbers.reduce((a, b) => a + b, 0);
  switch (name) {
    case 'min':
      return numbers.reduce((a, b) => Math.min(a, b));
    case 'max':
      return numbers.reduce((a, b) => Math.max(a, b));
    case 'sum':
      return sum();
    case 'avg':
      return sum() / numbers.length;
    default:
      return name satisfies never;
  }
}

function elementOf(of: Value, at: Value): Value {
  if (typeof at === 'number') {
    // A number stands for the list of itself.
    if (typeof of === 'number' && at === 0) return of;
    return Array.isArray(of) && Number.isInteger(at) ? of[at] : undefined;
  }
  if (typeof at !== 'string' || typeof of !== 'object' || of === null || Array.isArray(of)) return undefined;
  return Object.hasOwn(of, at) ? (of as Record<string, unknown>)[at] : undefined;
}

/** The only value of a list of one; everything else as it is. */
function single(value: Value): Value {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

/** A number that can be reckoned with; NaN is none. */
function numberOf(value: Value): number | undefined {
  const one = single(value);
  return typeof one === 'number' && !Number.isNaN(one) ? one : undefined;
}

function parsedNumber(value: Value): number | undefined {
  if (typeof value === 'string' && value.trim() !== '') {
    const parsed = Number(value);
    return Number.isNaN(parsed) ? undefined : parsed;
  }
  return numberOf(value);
}
