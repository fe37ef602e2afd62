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

/**
 * `desired.sequence` of the next order to a machine. It rises with every order, and also after etcd was lost with the
 * previous one: agents refuse a lower sequence than they have seen. `nowMs` is milliseconds since 1970.
 */
export function nextSequence(previous: number | undefined, nowMs: number): number {
  return Math.max((previous ?? 0) + 1, Math.floor(nowMs / 1000));
}

/** JSON keeps the parts apart: `["a","bc"]` and `["ab","c"]` differ. */
function digest(parts: readonly (string | number)[], digits: number): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, digits);
}
