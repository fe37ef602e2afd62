// Who takes a slot of `maxUnavailable`, and how many slots are free.
import { type Facts, isHealthy, wasOffBeforeGo } from './facts.ts';
import { keepsSlotUntil, type MinReady } from './min-ready.ts';
import type { Run } from './run.ts';
import { budgetLimit, parseSize } from './share.ts';
import { isOrderOfRun } from './standing.ts';

export type Budget = { readonly limit: number; readonly unavailable: number; readonly free: number };

type View = { readonly rollout: string; readonly run: Run | undefined; readonly minReady: MinReady };

/**
 * Whether a machine takes a slot: it is sick, is being switched, or got its go and is not heard of since. A machine that
 * was off before its go takes none, and so does one that only fetches.
 */
export function isUnavailable(view: View, facts: Facts): boolean {
  if (facts.online) return !isHealthy(facts) || keepsSlotUntil(facts, view.minReady) !== undefined;
  return !wasOffBeforeGo(facts) && wentOffAfterGo(view, facts);
}

/**
 * A machine that said that it is done, and was well, is merely switched off. An order that ended before this run began says
 * nothing about why the machine is off now.
 */
function wentOffAfterGo({ rollout, run, minReady }: View, facts: Facts): boolean {
  if (facts.desired?.go !== true) return false;
  if (facts.inHand) return true;
  if (run === undefined || !isOrderOfRun({ rollout, run }, facts)) return false;
  return !facts.well || keepsSlotUntil(facts, minReady) !== undefined;
}

/** The budget over all machines that the rollout moves. */
export function budgetOf(view: View, maxUnavailable: number | string | undefined, machines: readonly Facts[]): Budget {
  const size = parseSize(maxUnavailable ?? '10%') ?? { kind: 'percent', percent: 10 };
  const limit = budgetLimit(size, machines.length);
  const unavailable = machines.filter((facts) => isUnavailable(view, facts)).length;
  return { limit, unavailable, free: Math.max(0, limit - unavailable) };
}
