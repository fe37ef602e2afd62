// How long machines take for what they are told: the median of what they took before, else stated defaults.
import type { NixMachine } from '@floe/crds/nix-machine';
import { attemptEnd } from '../conditions/attempt-end.ts';
import { timeMs } from '../conditions/moment.ts';
import { ownAttempt } from '../conditions/own-attempt.ts';

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
export function paceOf(machines: Iterable<NixMachine>, now: number): Pace {
  const times: Time[] = [];
  for (const machine of machines) {
    const time = timeOf(machine, now);
    if (time !== undefined) times.push(time);
    if (times.length >= SAMPLE) break;
  }
  if (times.length === 0) return DEFAULT_PACE;
  const go = median(times.filter(({ hadFetched }) => !hadFetched));
  const switches = median(times.filter(({ hadFetched }) => hadFetched));
  const goMs = Math.max(SHORTEST_MS, go ?? DEFAULT_PACE.fetchMs + (switches ?? 0));
  const switchMs = Math.max(SHORTEST_MS, switches ?? Math.min(goMs, DEFAULT_PACE.switchMs));
  return { fetchMs: Math.max(SHORTEST_MS, goMs - switchMs), goMs, switchMs, known: times.length };
}

type Time = { readonly ms: number; readonly hadFetched: boolean };

/**
 * How long a machine took from its go; undefined where its last attempt did not end well, or its clock can't be right: its
 * times are compared with those of Floe.
 */
function timeOf({ status }: NixMachine, now: number): Time | undefined {
  const { desired } = status ?? {};
  const attempt = ownAttempt(status ?? {});
  if (desired?.go !== true || attempt?.phase !== 'Committed') return undefined;
  const told = timeMs(desired.since);
  const ended = timeMs(attempt.finishedAt);
  if (told === undefined || ended === undefined || ended <= told) return undefined;
  if (attemptEnd(status ?? {}, now) !== ended) return undefined;
  return { ms: ended - told, hadFetched: (timeMs(attempt.startedAt) ?? told) < told };
}

/** The middle one, the upper of two; whole seconds. */
function median(times: readonly Time[]): number | undefined {
  const middle = times.map(({ ms }) => ms).toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
  return middle === undefined ? undefined : Math.round(middle / 1000) * 1000;
}
