// Arithmetic of counts and percentages: how many a batch takes, how many may be unavailable.

/** A count of machines or a whole percentage. */
export type Size =
  | { readonly kind: 'count'; readonly count: number }
  | { readonly kind: 'percent'; readonly percent: number };

/** Reads `3` or `"10%"`; undefined where it is neither, or selects nobody. */
export function parseSize(value: number | string): Size | undefined {
  if (typeof value === 'number')
    return Number.isInteger(value) && value > 0 ? { kind: 'count', count: value } : undefined;
  const percent = /^([1-9][0-9]?|100)%$/.exec(value)?.[1];
  return percent === undefined ? undefined : { kind: 'percent', percent: Number(percent) };
}

/** `3` or `10 %`. */
export function spokenSize(size: Size): string {
  return size.kind === 'count' ? String(size.count) : `${size.percent} %`;
}

/**
 * How many of `matching` machines should have the revision once a batch of `percent` has ended: the nearest integer, half
 * up; a share above zero takes at least one, a share below 100 % leaves at least one where there are two or more.
 */
export function percentTarget(percent: number, matching: number): number {
  if (matching === 0 || percent <= 0) return 0;
  if (percent >= 100) return matching;
  const nearest = Math.floor((percent * matching + 50) / 100);
  const most = matching >= 2 ? matching - 1 : 1;
  return Math.min(Math.max(nearest, 1), most);
}

/** How many machines may be unavailable at once: a count, or a percentage of `total` rounded down, at least 1. */
export function budgetLimit(maxUnavailable: Size, total: number): number {
  if (maxUnavailable.kind === 'count') return maxUnavailable.count;
  return Math.max(1, Math.floor((maxUnavailable.percent * total) / 100));
}
