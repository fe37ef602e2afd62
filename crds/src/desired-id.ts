// Ids of orders to machines: pure functions that every writer of `status.desired` shares.
import { createHash } from 'node:crypto';

/** Orders in a row: the first, and two more that follow by themselves where an attempt was not confirmed. */
export const ORDERS_IN_A_ROW = 3;

/** What an order is for; the same parts always give the same id, so a writer that starts again never orders twice. */
export type OrderIdentity = {
  /** Name of the Rollout; with delivery Immediate the name of the NixConfig. */
  readonly rollout: string;
  /** Run of the Rollout; with delivery Immediate the revision. */
  readonly run: string;
  /** Name of the NixMachine. */
  readonly machine: string;
  /** How often the order was repeated by a person or by itself, from 0. */
  readonly retry: number;
  /** Store path that it brings: a label or a host name may change it within one run. */
  readonly closure: string;
};

/** `desired.id`: 16 hex digits. */
export function desiredId({ rollout, run, machine, retry, closure }: OrderIdentity): string {
  return digest([rollout, run, machine, retry, closure], 16);
}

/** `desired.id` as earlier versions of Floe made it, without the closure: such an order may stand when Floe is upgraded. */
export function desiredIdWithoutClosure({ rollout, run, machine, retry }: Omit<OrderIdentity, 'closure'>): string {
  return digest([rollout, run, machine, retry], 16);
}

/** Id of a run of a Rollout: 8 hex digits. `startedAt` is RFC 3339, as in its status. */
export function runId(rollout: { uid?: string; name: string }, revision: string, startedAt: string): string {
  return digest([rollout.uid ?? rollout.name, revision, startedAt], 8);
}

/** How far a sequence may be ahead of a clock, in seconds: a day, for clocks that are wrong. Agents refuse what is further. */
export const SEQUENCE_LEEWAY_SECONDS = 86_400;

/** What is known of the sequences of a machine: its status. */
type Sequences = {
  readonly desired?: { readonly sequence: number };
  readonly agent?: { readonly accepted?: number };
};

/**
 * `desired.sequence` of the next order to a machine. It rises with every order, and also after etcd was lost with the
 * previous one: agents refuse a lower sequence than they have seen. `nowMs` is milliseconds since 1970. An order from a
 * clock that was far ahead counts only where the machine has accepted it.
 */
export function nextSequence({ desired, agent }: Sequences, nowMs: number): number {
  const now = Math.floor(nowMs / 1000);
  const ordered = desired === undefined || desired.sequence > now + SEQUENCE_LEEWAY_SECONDS ? 0 : desired.sequence;
  const next = Math.max(ordered + 1, (agent?.accepted ?? 0) + 1, now);
  // Beyond that there is no higher one; the machine says then what is to be done there.
  return Number.isSafeInteger(next) ? next : now;
}

/** JSON keeps the parts apart: `["a","bc"]` and `["ab","c"]` differ. */
function digest(parts: readonly (string | number)[], digits: number): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, digits);
}
