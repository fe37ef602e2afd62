// Turns an order of the plan into the parts of a machine's status that say it.
import { nextSequence } from '@floe/crds/desired-id';
import type { Desired, NixMachine } from '@floe/crds/nix-machine';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import { ownAttempt } from '../conditions/own-attempt.ts';
import type { StatusChanges } from '../conditions/patch.ts';
import type { Order } from './tell.ts';

/** Who gives the order, and when. */
export type Giver = { readonly rollout: string; readonly run: string; readonly go: boolean; readonly now: number };

/**
 * What to write into the status of a machine for an order. A retry takes the closure off the list of known bad ones in
 * the same write, so that nobody finds it there and told.
 */
export function orderChanges(machine: NixMachine, order: Order, { rollout, run, go, now }: Giver): StatusChanges {
  const { knownBad } = machine.status ?? {};
  const desired: Desired = {
    id: order.id,
    sequence: nextSequence(machine.status ?? {}, now),
    revision: order.revision,
    closure: order.closure,
    rollout,
    run,
    reason: order.reason,
    go,
    since: rfc3339Exact(now),
    ...(go && order.reboot === true ? { reboot: true } : {}),
  };
  if (knownBad === undefined || !knownBad.includes(order.closure)) return { desired };
  const left = knownBad.filter((closure) => closure !== order.closure);
  return { desired, knownBad: left.length === 0 ? undefined : left };
}

/**
 * What to write for the word that a machine may restart: the order as it is, with a new sequence. Undefined where the
 * machine waits for it no more.
 */
export function rebootChanges(machine: NixMachine, now: number): StatusChanges | undefined {
  const { desired } = machine.status ?? {};
  if (desired === undefined || ownAttempt(machine.status ?? {})?.phase !== 'RebootRequired') return undefined;
  const sequence = nextSequence(machine.status ?? {}, now);
  return { desired: { ...desired, sequence, reboot: true, rebootSince: rfc3339Exact(now) } };
}
