// Reads durations of the API, and says times as people read them.
import { rfc3339Exact } from '@floe/crds/rfc3339';

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration in Go's form (`90s`, `1h30m`); `fallback` where it is absent or unreadable. */
export function durationMs(text: string | undefined, fallback: number): number {
  if (text === undefined || !/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) return fallback;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(?<![0-9.])([0-9.]+)(ms|s|m|h)/g))
    total += Number(number) * (MS[unit ?? ''] ?? 0);
  return total;
}

/**
 * `14:31 UTC` where it is of the day of `now`, else `2026-03-01 14:31 UTC`. Seconds of what is to come are rounded up, those
 * of what was are cut: nothing that has happened is said to lie ahead.
 */
export function clockTime(ms: number, now: number): string {
  const minute = 60_000;
  const round = ms > now ? Math.ceil : Math.floor;
  const text = rfc3339Exact(round(ms / minute) * minute);
  const day = text.slice(0, 10);
  const time = `${text.slice(11, 16)} UTC`;
  return day === rfc3339Exact(now).slice(0, 10) ? time : `${day} ${time}`;
}
