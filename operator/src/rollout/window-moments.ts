// When a cron expression fires in a time zone: minutes of a wall clock turned into moments, across changes of the clocks.
import { type Cron, firstAfter, lastUpTo } from '@floe/crds/cron';
import { zoneOffset } from '@floe/crds/time-zone';

const DAY = 24 * 3_600_000;

/**
 * The moment at which a zone's clocks show `wall`. A reading that spring skips is moved forward by the gap, of one that
 * autumn repeats the first counts.
 */
export function momentOf(zone: string, wall: number): number {
  // Clocks change by a day at most, and at most once in two days.
  const before = wall - zoneOffset(zone, wall - DAY);
  const after = wall - zoneOffset(zone, wall + DAY);
  if (before === after) return before;
  const isShown = (moment: number) => moment + zoneOffset(zone, moment) === wall;
  // Where the reading comes twice, the clock is as it was before the change the first time. Where it never comes, the
  // clock of before leads as far beyond the gap as the reading lay within it.
  return isShown(before) || !isShown(after) ? before : after;
}

/** The last start of a window up to and including `moment`; undefined: there is none. */
export function startUpTo(cron: Cron, zone: string, moment: number): number | undefined {
  const nearby = [moment - DAY, moment, moment + DAY].map((at) => zoneOffset(zone, at));
  let wall = lastUpTo(cron, moment + Math.max(...nearby));
  let best: number | undefined;
  let end = Number.NEGATIVE_INFINITY;
  // Around a gap, readings and moments are not in the same order: those within a gap of the first found count, too.
  while (wall !== undefined && wall >= end) {
    const start = momentOf(zone, wall);
    if (start <= moment && (best === undefined || start > best)) {
      if (best === undefined) end = wall - shiftAt(zone, wall);
      best = start;
    }
    wall = lastUpTo(cron, wall - 1);
  }
  return best;
}

/** The first start of a window after `moment`; undefined: there is none. */
export function startAfter(cron: Cron, zone: string, moment: number): number | undefined {
  const nearby = [moment - DAY, moment, moment + DAY].map((at) => zoneOffset(zone, at));
  let wall = firstAfter(cron, moment + Math.min(...nearby) - 1);
  let best: number | undefined;
  let end = Number.POSITIVE_INFINITY;
  while (wall !== undefined && wall <= end) {
    const start = momentOf(zone, wall);
    if (start > moment && (best === undefined || start < best)) {
      if (best === undefined) end = wall + shiftAt(zone, wall);
      best = start;
    }
    wall = firstAfter(cron, wall);
  }
  return best;
}

/** By how much the clocks change within a day of a reading; mostly 0. */
function shiftAt(zone: string, wall: number): number {
  return Math.abs(zoneOffset(zone, wall + DAY) - zoneOffset(zone, wall - DAY));
}
