// How long to wait before the next try: exponential, with full jitter so that a fleet does not return at once.

export type Backoff = { readonly baseMs: number; readonly maxMs: number };

/** Milliseconds to wait after `tries` failures (0 is the first): anywhere up to base × 2^tries, and never above the maximum. */
export function backoffMs(tries: number, { baseMs, maxMs }: Backoff, random: () => number = Math.random): number {
  return Math.floor(random() * Math.min(maxMs, baseMs * 2 ** Math.min(tries, 30)));
}
