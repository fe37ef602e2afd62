// Reads durations and points in time of the API, and says times as people read them.

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration in Go's form (`90s`, `1h30m`); `fallback` where it is absent or unreadable. */
export function durationMs(text: string | undefined, fallback: number): number {
  if (text === undefined || !/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) return fallback;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g)) total += Number(number) * (MS[unit ?? ''] ?? 0);
  return total;
}

/** Milliseconds since 1970 of an RFC 3339 time; undefined where it is absent or unreadable. */
export function timeMs(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** RFC 3339 in UTC; with milliseconds where there are any, so that reading it gives `ms` again. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

/** `14:31 UTC` where it is of the day of `now`, else `2026-03-01 14:31 UTC`; seconds are rounded up. */
export function clockTime(ms: number, now: number): string {
  const minute = 60_000;
  const text = rfc3339(Math.ceil(ms / minute) * minute);
  const day = text.slice(0, 10);
  const time = `${text.slice(11, 16)} UTC`;
  return day === rfc3339(now).slice(0, 10) ? time : `${day} ${time}`;
}

/** `45 s`, `30 min`, `2 h`, `1 h 30 min`. */
export function spokenMs(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const rest = minutes % 60;
  return rest === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}
