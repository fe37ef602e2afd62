// Tables and times for people.
import { clockTime } from '@floe/operator/rollout/time';

/** Columns aligned by spaces, the last one as long as it is; no spaces at the ends of lines. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

/** `14:31 UTC` where it is of the day of `now`, else with its date. */
export function clockOf(time: string, now: Date): string {
  return clockTime(Date.parse(time), now.getTime());
}

/** `3d`, `4h`, `12m`, `9s`: how long ago, as kubectl says it; `-` where it is not known. */
export function ago(time: string | undefined, now: Date): string {
  const ms = time === undefined ? Number.NaN : now.getTime() - Date.parse(time);
  if (Number.isNaN(ms)) return '-';
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
