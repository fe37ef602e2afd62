// How long machines take for what they are told: the median of what they took before, else stated defaults.
import type { NixMachine } from '@floe/crds/nix-machine';
import { timeMs } from './time.ts';

/** How long a machine takes, in ms; `known` is from how many machines that is known, 0: these are the defaults. */
export type Pace = {
  /** From being told to fetch until it has fetched. */
  readonly fetchMs: number;
  /** From its go until it is done, where it must fetch first. */
  readonly goMs: number;
  /** From its go until it is done, where it has fetched. */
  readonly switchMs: number;
  readonly known: number;
};

/** What is assumed where nothing is known, in ms. */
export const DEFAULT_PACE: Pace = { fetchMs: 60_000, goMs: 120_000, switchMs: 60_000, known: 0 };

/** Machines that are looked at: the pace of some says enough. */
const SAMPLE = 200;
const SHORTEST_MS = 1000;

/** The pace of a fleet, from the attempts that ended well. Times that can't be true are left out. */
export function paceOf(machines: Iterable<NixMachine>): Pace {
  const whole: number[] = [];
  const switches: number[] = [];
  for (const { status } of machines) {
    const { desired, attempt } = status ?? {};
    if (desired?.go !== true || attempt?.desiredId !== desired.id || attempt.phase !== 'Committed') continue;
    const told = timeMs(desired.since);
    const began = timeMs(attempt.startedAt);
    const ended = timeMs(attempt.finishedAt);
    if (told === undefined || ended === undefined || ended <= told) continue;
    (began !== undefined && began < told ? switches : whole).push(ended - told);
    if (whole.length + switches.length >= SAMPLE) break;
  }
  const known = whole.length + switches.length;
  if (known === 0) return DEFAULT_PACE;
  const goMs = Math.max(SHORTEST_MS, median(whole) ?? DEFAULT_PACE.fetchMs + (median(switches) ?? 0));
  const switchMs = Math.max(SHORTEST_MS, median(switches) ?? Math.min(goMs, DEFAULT_PACE.switchMs));
  return { fetchMs: Math.max(SHORTEST_MS, goMs - switchMs), goMs, switchMs, known };
}

/** The middle one, the upper of two; whole seconds. */
function median(values: readonly number[]): number | undefined {
  const middle = values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
  return middle === undefined ? undefined : Math.round(middle / 1000) * 1000;
}
