// Machines that keep their slot after they were switched: `spec.minReadySeconds`.
import type { RolloutSpec } from '@floe/crds/rollout';
import type { Facts } from './facts.ts';
import type { Run } from './run.ts';
import { runsSince } from './soak.ts';

export type MinReady = { readonly ms: number; readonly now: number };

/** How long machines keep their slot; a way back waits for none. */
export function minReadyOf({ minReadySeconds = 0 }: RolloutSpec, run: Run | undefined, now: number): MinReady {
  const isBack = run?.rollback !== undefined || run?.direct === true;
  return { ms: isBack ? 0 : minReadySeconds * 1000, now };
}

/** Until when a machine keeps its slot, in ms; undefined: it keeps none. One that went off before has not shown to be well. */
export function keepsSlotUntil(facts: Facts, { ms, now }: MinReady): number | undefined {
  if (ms === 0 || facts.current === undefined || facts.inHand) return undefined;
  const since = runsSince(facts, facts.current, now);
  if (since === undefined) return undefined;
  const until = since + ms;
  const end = facts.online ? now : (facts.connectionSince ?? now);
  return end < until ? until : undefined;
}
