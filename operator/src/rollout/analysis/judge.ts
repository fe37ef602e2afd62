// Judges one measured value by the conditions of its metric.
import { type Expression, parseCondition } from '@floe/crds/condition';
import { holds, type Truth } from './evaluate.ts';
import type { MetricRules } from './metric.ts';

export type Judgement = {
  readonly result: 'Successful' | 'Failed' | 'Inconclusive' | 'Error';
  /** Why, where it is no success. */
  readonly message: string | undefined;
};

/**
 * A failure where `failureCondition` holds, a success where `successCondition` does; with one condition alone its opposite
 * follows, with both what is neither is inconclusive. What can't be known is inconclusive: an empty result, NaN, a field that
 * is not there. Without conditions every value but an empty one and NaN is a success.
 */
export function judge(
  { successCondition, failureCondition }: Pick<MetricRules, 'successCondition' | 'failureCondition'>,
  result: unknown,
): Judgement {
  const success = successCondition === undefined ? undefined : truthOf(successCondition, result);
  const failure = failureCondition === undefined ? undefined : truthOf(failureCondition, result);
  if (success === 'unreadable' || failure === 'unreadable') {
    return { result: 'Error', message: 'its conditions can not be read; correct them' };
  }
  if (failure === 'true') return { result: 'Failed', message: `failureCondition holds: ${failureCondition}` };
  if (success === 'true') return { result: 'Successful', message: undefined };
  const empty = isEmpty(result);
  const what = empty ?? 'the conditions say nothing about it';
  if (success === undefined && failure === undefined) {
    return empty === undefined
      ? { result: 'Successful', message: undefined }
      : { result: 'Inconclusive', message: empty };
  }
  if (failure === undefined && success === 'false') {
    return { result: 'Failed', message: `successCondition does not hold: ${successCondition}` };
  }
  if (success === undefined && failure === 'false') return { result: 'Successful', message: undefined };
  return { result: 'Inconclusive', message: what };
}

function truthOf(text: string, result: unknown): Truth | 'unreadable' {
  const expression = readable(text);
  return expression === undefined ? 'unreadable' : holds(expression, result);
}

function readable(text: string): Expression | undefined {
  const parsed = parseCondition(text);
  return parsed.ok ? parsed.expression : undefined;
}

function isEmpty(result: unknown): string | undefined {
  const one = Array.isArray(result) && result.length === 1 ? result[0] : result;
  if (one === undefined || one === null || (Array.isArray(one) && one.length === 0)) return 'the result is empty';
  return Number.isNaN(one) ? 'the result is NaN' : undefined;
}
