// Which generations of the system profile may go. Pure.
import type { GenerationsMessage } from '@floe/crds/generations';

export type Generation = {
  readonly number: number;
  readonly closure: string;
  /** When it was made; undefined where that can't be read: then it is young. */
  readonly madeAtMs?: number;
};

/** Kept by count where only an age is given. */
const KEEP = 3;

/**
 * Numbers of the generations that are neither among the newest nor young enough. `needed` are closures that stay
 * whatever their age: what runs, was booted, boots next, and the way back.
 */
export function surplus(
  generations: readonly Generation[],
  { keep, maxAgeSeconds }: GenerationsMessage,
  { needed, nowMs }: { readonly needed: ReadonlySet<string>; readonly nowMs: number },
): number[] {
  if (keep === undefined && maxAgeSeconds === undefined) return [];
  const newest = [...generations].sort((one, other) => other.number - one.number).slice(0, keep ?? KEEP);
  const isYoung = ({ madeAtMs }: Generation) =>
    madeAtMs === undefined || (maxAgeSeconds !== undefined && nowMs - madeAtMs < maxAgeSeconds * 1000);
  return generations
    .filter((one) => !newest.includes(one) && !isYoung(one) && !needed.has(one.closure))
    .map(({ number }) => number)
    .sort((one, other) => one - other);
}
