// The windows of a Rollout: whether one is open at a moment, since when, and when that changes.
import { type Cron, parseCron } from '@floe/crds/cron';
import type { RolloutSpec } from '@floe/crds/rollout';
import { isTimeZone, MACHINE_ZONE } from '@floe/crds/time-zone';
import { DEFAULT_WINDOW_ACTIONS, type WindowAction } from '@floe/crds/window-action';
import { durationMs } from './time.ts';
import { startAfter, startUpTo } from './window-moments.ts';

export type Window = {
  readonly cron: Cron;
  /** The expression as it was written. */
  readonly text: string;
  readonly durationMs: number;
  /** Undefined: the zone of each machine. */
  readonly zone: string | undefined;
  readonly actions: readonly WindowAction[];
};

/** The windows of a spec that was checked; throws RangeError on one that was not. */
export function windowsOf({ windows = [] }: Pick<RolloutSpec, 'windows'>): readonly Window[] {
  return windows.map(({ cron, duration, timeZone = 'UTC', actions = DEFAULT_WINDOW_ACTIONS }) => {
    const parsed = parseCron(cron);
    if (!parsed.ok) throw new RangeError(parsed.message);
    const zone = timeZone === MACHINE_ZONE ? undefined : timeZone;
    return { cron: parsed.cron, text: cron, durationMs: durationMs(duration, 0), zone, actions };
  });
}

/** A stretch of time in which nothing changes; in ms, `until` no longer belongs to it, undefined: for ever. */
export type Stretch = { readonly from: number; readonly until: number | undefined } & (
  | { readonly open: true }
  | { readonly open: false; readonly next: { readonly text: string; readonly zone: string } | undefined }
);

/** A window that stays open longer than this by overlaps is looked at anew then. */
const MERGES = 100;

/**
 * The stretch around a moment. Overlapping windows and those that touch are one. `zone` is that of the machine; one that
 * is not known opens no window that goes by it.
 */
export function stretchAt(windows: readonly Window[], zone: string, moment: number): Stretch {
  const placed = windows.flatMap((window) => {
    const own = window.zone ?? zone;
    return window.zone === undefined && !isTimeZone(own) ? [] : [{ ...window, zone: own }];
  });
  const spans = placed.flatMap((window) => {
    const start = startUpTo(window.cron, window.zone, moment);
    return start === undefined ? [] : [{ start, end: start + window.durationMs }];
  });
  const open = spans.filter(({ end }) => end > moment);
  if (open.length > 0) {
    return { open: true, from: Math.min(...open.map(({ start }) => start)), until: endOf(placed, moment) };
  }
  const from = Math.max(Number.NEGATIVE_INFINITY, ...spans.map(({ end }) => end));
  const starts = placed.flatMap(({ cron, zone: own, text }) => {
    const start = startAfter(cron, own, moment);
    return start === undefined ? [] : [{ start, text, zone: own }];
  });
  const next = starts.reduce<(typeof starts)[number] | undefined>(
    (first, one) => (first === undefined || one.start < first.start ? one : first),
    undefined,
  );
  return { open: false, from, until: next?.start, next };
}

type Placed = Window & { readonly zone: string };

/** When the last of the windows that follow one another without a gap ends. */
function endOf(windows: readonly Placed[], moment: number): number {
  let end = moment;
  for (let turn = 0; turn < MERGES; turn++) {
    let later = end;
    for (const { cron, zone, durationMs: length } of windows) {
      const start = startUpTo(cron, zone, end);
      if (start !== undefined) later = Math.max(later, start + length);
    }
    if (later === end) return end;
    end = later;
  }
  return end;
}
