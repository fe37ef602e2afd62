// Turns what the hub says into an order, and refuses orders that are older than what was accepted.

import { SEQUENCE_LEEWAY_SECONDS } from '@floe/crds/desired-id';
import { isStorePath } from '@floe/crds/nix-fingerprint';
import type { DesiredMessage } from '@floe/crds/protocol';
import { isDone, isSameOrder, type Order } from './attempt/record.ts';
import { findAttempt, type Journal } from './journal/journal.ts';

/** An order of the hub. */
export function orderOf(message: DesiredMessage): Order {
  return {
    id: message.id,
    closure: message.closure,
    origin: 'hub',
    sequence: message.sequence,
    revision: message.revision,
    go: message.go,
    mode: message.mode,
    confirm: 'hub',
    switchTimeoutSeconds: message.switchTimeoutSeconds,
    confirmTimeoutSeconds: message.confirmTimeoutSeconds,
    healthChecks: message.healthChecks,
    substituters: message.substituters,
    ...activationOf(message),
    ...(message.generations === undefined ? {} : { generations: message.generations }),
  };
}

/** What follows from `spec.activation` beside mode, limits and checks. */
function activationOf(message: DesiredMessage): Partial<Order> {
  const { reason, rebootPolicy, specialisation, rollbackTimeoutSeconds, rollbackRebootAfterSeconds } = message;
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(rebootPolicy === undefined ? {} : { rebootPolicy }),
    ...(message.reboot === true ? { mayReboot: true } : {}),
    ...(specialisation === undefined ? {} : { specialisation }),
    ...(message.confirmPolicy === 'WhenOnline' ? { whenOnline: true } : {}),
    ...(rollbackTimeoutSeconds === undefined ? {} : { rollbackTimeoutSeconds }),
    ...(rollbackRebootAfterSeconds === undefined ? {} : { rebootAfterSeconds: rollbackRebootAfterSeconds }),
    ...(message.keepDegraded === true ? { keepDegraded: true } : {}),
  };
}

/** What orders are compared with. */
export type Known = {
  readonly journal: Journal;
  /** The order accepted last, journalled or not. */
  readonly last: Order | undefined;
  /** RFC 3339, by the clock of the machine that takes the order. */
  readonly time: string;
};

const RETRY = 'have the order given again (kubectl floe retry machine/NAME)';

/** Why an order is not accepted, and what to do; undefined when it is. */
export function orderFault(order: Order, { journal, last, time }: Known): string | undefined {
  if (!isStorePath(order.closure)) return `${order.closure} is no store path`;
  const highest = Math.max(journal.sequence, last?.sequence ?? 0);
  // What is accepted once stands for ever: one message or one wrong clock must not make the machine deaf.
  const limit = Math.max(highest, Math.floor(Date.parse(time) / 1000) || 0) + SEQUENCE_LEEWAY_SECONDS;
  if (!Number.isSafeInteger(order.sequence) || order.sequence > limit)
    return `its sequence ${order.sequence} is more than a day ahead of the machine's clock (${time}): set the clocks of machine and cluster, then ${RETRY}`;
  if (order.sequence < highest)
    return `its sequence ${order.sequence} is lower than ${highest}, which was accepted before: ${RETRY}, or run floe-agent accept-orders on the machine`;
  if (order.sequence > highest) return undefined;
  const known = [last, ...[journal.attempt, ...journal.ended].map((one) => one?.order)];
  const other = known.find((one) => one?.origin === 'hub' && one.sequence === highest && !isSameOrder(one, order));
  return other === undefined ? undefined : `its sequence ${order.sequence} was used before for another order`;
}

/** Whether the order was carried out, well or not. One that was dropped may be given again under a higher sequence. */
export function isHandled(order: Order, journal: Journal): boolean {
  const record = findAttempt(journal, order);
  if (record === undefined || !isDone(record)) return false;
  return record.phase !== 'Cancelled' || record.order.sequence >= order.sequence;
}
