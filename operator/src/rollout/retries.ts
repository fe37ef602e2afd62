// How often a machine was told the same closure in one run, and whether it may be told again.
import { desiredId, desiredIdWithoutClosure, ORDERS_IN_A_ROW } from '@floe/crds/desired-id';
import { timeMs, wholeSeconds } from '../conditions/moment.ts';
import { type Facts, finishedAt } from './facts.ts';
import type { Run } from './run.ts';

export type Orders = { readonly rollout: string; readonly run: Run };

/**
 * Which order of the run the machine has, from 0; undefined where its id was not made by Floe, or the order followed
 * another one of the same run.
 */
function orderNumber({ rollout, run }: Orders, { name, desired }: Facts): number | undefined {
  if (desired === undefined) return undefined;
  for (let retry = 0; retry < ORDERS_IN_A_ROW * (run.retry.count + 1); retry++) {
    const identity = { rollout, run: run.id, machine: name, retry, closure: desired.closure };
    if (desired.id === desiredId(identity) || desired.id === desiredIdWithoutClosure(identity)) return retry;
  }
  return undefined;
}

/** Whether a machine whose attempt was not confirmed is told again by itself. */
export function mayRetryItself(orders: Orders, facts: Facts): boolean {
  return timesByItself(orders, facts) < ORDERS_IN_A_ROW - 1;
}

/** How often the machine was told again by itself since it was told first, or since a person asked to retry. */
export function timesByItself(orders: Orders, facts: Facts): number {
  const number = orderNumber(orders, facts);
  if (number !== undefined) return number % ORDERS_IN_A_ROW;
  const known = orders.run.unconfirmed.get(facts.name);
  if (known === undefined) return 0;
  // The status goes before the order: while the old order stands, the one that was counted was not given yet.
  return known.order === orderKey(facts) ? known.times - 1 : known.times;
}

/** Names one giving of one order, for machines whose ids were not made by Floe. */
export function orderKey({ desired }: Facts): string {
  return `${desired?.id ?? ''}@${desired?.since ?? ''}`.slice(0, 128);
}

/** Whether `timesByItself` is read from the id of the order, and so needs no memory. */
export function isNumbered(orders: Orders, facts: Facts): boolean {
  return orderNumber(orders, facts) !== undefined;
}

/** Whether the order is older than the retry that a person asked for last. */
export function isBeforeRetry(orders: Orders, facts: Facts): boolean {
  const { retry } = orders.run;
  if (retry.count === 0) return false;
  const number = orderNumber(orders, facts);
  if (number !== undefined) return Math.floor(number / ORDERS_IN_A_ROW) < retry.count;
  const since = timeMs(facts.desired?.since) ?? 0;
  // An order of the very moment of the retry is what the retry told, unless it had ended by then. Others may cut to seconds.
  const isSame = since === retry.at || since === wholeSeconds(retry.at);
  return isSame ? hasEndedBy(facts, retry.at) : since < retry.at;
}

/** Whether the attempt at the order that stands has ended by a moment (ms). */
function hasEndedBy(facts: Facts, moment: number): boolean {
  return facts.own?.finishedAt !== undefined && finishedAt(facts, Number.POSITIVE_INFINITY) <= moment;
}

/** `retry` of the next order to a machine; `byItself` where it follows an attempt that was not confirmed. */
export function nextRetry(orders: Orders, facts: Facts, byItself: boolean): number {
  const first = ORDERS_IN_A_ROW * orders.run.retry.count;
  return byItself ? first + timesByItself(orders, facts) + 1 : first;
}
