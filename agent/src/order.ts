// Turns what the hub says into an order, and refuses orders that are older than what was accepted.

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

/** Why an order is not accepted; undefined when it is. `last` is the order accepted last, journalled or not. */
export function orderFault(order: Order, journal: Journal, last: Order | undefined): string | undefined {
  if (!isStorePath(order.closure)) return `${order.closure} is no store path`;
  const highest = Math.max(journal.sequence, last?.sequence ?? 0);
  if (order.sequence < highest)
    return `its sequence ${order.sequence} is lower than ${highest}, which was accepted before`;
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
