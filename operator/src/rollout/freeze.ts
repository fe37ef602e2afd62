// The freezes of a Rollout: whether one is in force at a moment, why, and when that changes.
import type { RolloutSpec } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';

export type Freeze = { readonly from: number; readonly to: number; readonly reason: string };

/** A stretch of time in which nothing changes; in ms, `until` no longer belongs to it, undefined: for ever. */
export type FreezeStretch =
  | { readonly frozen: true; readonly until: number; readonly reason: string }
  | { readonly frozen: false; readonly until: number | undefined };

/** The freezes of a spec, as moments. */
export function freezesOf({ freezes = [] }: Pick<RolloutSpec, 'freezes'>): readonly Freeze[] {
  return freezes.flatMap(({ from, to, reason }) => {
    const [start, end] = [timeMs(from), timeMs(to)];
    return start === undefined || end === undefined ? [] : [{ from: start, to: end, reason }];
  });
}

/** The stretch from a moment on. Freezes that overlap or touch are one; the reason is that of the one in force longest. */
export function freezeAt(freezes: readonly Freeze[], moment: number): FreezeStretch {
  const inForce = freezes.filter(({ from, to }) => from <= moment && moment < to);
  const longest = inForce.reduce<Freeze | undefined>(
    (best, one) => (best === undefined || one.to > best.to ? one : best),
    undefined,
  );
  if (longest === undefined) {
    const starts = freezes.map(({ from }) => from).filter((from) => from > moment);
    return { frozen: false, until: starts.length === 0 ? undefined : Math.min(...starts) };
  }
  let until = longest.to;
  for (const { from, to } of freezes.toSorted((a, b) => a.from - b.from)) {
    if (from <= until && to > until) until = to;
  }
  return { frozen: true, until, reason: longest.reason };
}
