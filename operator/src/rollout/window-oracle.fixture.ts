// A slow reading of windows, minute by minute over the clocks of a zone: what the tests hold the fast one to.
import { wallTime } from '@floe/crds/time-zone';

const MINUTE = 60_000;

export type Described = { readonly cron: string; readonly minutes: number };

/** Which minutes of a stretch of time lie in a window. */
export class Oracle {
  readonly #from: number;
  readonly #open: boolean[];

  /** Looks from `from` to `to` (ms); windows that began before are seen as far as `lead` minutes back. */
  constructor(
    windows: readonly Described[],
    zone: string,
    { from, to, lead }: { from: number; to: number; lead: number },
  ) {
    this.#from = from;
    const length = Math.round((to - from) / MINUTE);
    this.#open = Array.from({ length }, () => false);
    for (const { moment, wall } of readings(zone, from - lead * MINUTE, to)) {
      for (const window of windows) if (names(window.cron, wall)) this.#fill(moment, window.minutes);
    }
  }

  #fill(start: number, minutes: number): void {
    const first = Math.round((start - this.#from) / MINUTE);
    for (let i = Math.max(0, first); i < Math.min(this.#open.length, first + minutes); i++) this.#open[i] = true;
  }

  /** Whether a window is open at a moment. */
  isOpen(moment: number): boolean {
    return this.#open[Math.floor((moment - this.#from) / MINUTE)] === true;
  }

  /** When that changes next; undefined: not in the time that was looked at. */
  changeAfter(moment: number): number | undefined {
    const index = Math.floor((moment - this.#from) / MINUTE);
    const next = this.#open.findIndex((open, i) => i > index && open !== this.#open[index]);
    return next < 0 ? undefined : this.#from + next * MINUTE;
  }
}

/** Each minute that a wall clock shows, once, with the moment that counts for it; also those that it skips. */
function* readings(zone: string, from: number, to: number): Generator<{ moment: number; wall: number }> {
  let before = wallTime(zone, from - MINUTE);
  // What was shown in the three hours before may come again.
  const seen = new Set<number>();
  for (let moment = from - 180 * MINUTE; moment < from; moment += MINUTE) seen.add(wallTime(zone, moment));
  for (let moment = from; moment < to; moment += MINUTE) {
    const wall = wallTime(zone, moment);
    const offset = before - (moment - MINUTE);
    for (let skipped = before + MINUTE; skipped < wall; skipped += MINUTE) {
      if (!seen.has(skipped)) yield { moment: skipped - offset, wall: skipped };
      seen.add(skipped);
    }
    if (!seen.has(wall)) yield { moment, wall };
    seen.add(wall);
    before = wall;
  }
}

/** Whether an expression names a reading; numbers, lists, ranges and steps only. */
function names(cron: string, wall: number): boolean {
  const date = new Date(wall);
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = cron.split(' ');
  const fitsDay = fits(day, date.getUTCDate(), 1);
  const fitsWeekday = fits(weekday, date.getUTCDay()) || (date.getUTCDay() === 0 && fits(weekday, 7));
  const isDay = day.startsWith('*') || weekday.startsWith('*') ? fitsDay && fitsWeekday : fitsDay || fitsWeekday;
  return (
    fits(minute, date.getUTCMinutes()) &&
    fits(hour, date.getUTCHours()) &&
    fits(month, date.getUTCMonth() + 1, 1) &&
    isDay
  );
}

function fits(field: string, value: number, least = 0): boolean {
  return field.split(',').some((item) => {
    const [range = '', step = '1'] = item.split('/');
    const [first = '', last = first] = range === '*' ? [String(least), '59'] : range.split('-');
    return value >= Number(first) && value <= Number(last) && (value - Number(first)) % Number(step) === 0;
  });
}
