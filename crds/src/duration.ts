// Reads durations in Go's form, as the specs write them.

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Seconds of a duration such as `90s`, `5m` or `1h30m`; undefined when the text is none. */
export function durationSeconds(text: string): number | undefined {
  if (!/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(/(?<![0-9.])([0-9.]+)(ms|s|m|h)/g)) {
    seconds += Number(number) * (SECONDS[unit ?? ''] ?? 0);
  }
  return seconds;
}
