// Reads cron expressions of five fields as crontab does, and finds the minutes that they name on a wall clock.

/** A cron expression, read. Which minutes it names does not depend on any time zone. */
export type Cron = {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** Both day fields are restricted: a day that fits either of them will do. */
  readonly eitherDay: boolean;
};

export type ParsedCron = { readonly ok: true; readonly cron: Cron } | { readonly ok: false; readonly message: string };

type Field = { readonly name: string; readonly min: number; readonly max: number; readonly words?: readonly string[] };

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: MONTHS },
  // 7 is Sunday, too.
  { name: 'day of week', min: 0, max: 7, words: WEEKDAYS },
];

const EXAMPLE = '"0 22 * * 1-5" for 22:00 from Monday to Friday';

/** Reads `minute hour day-of-month month day-of-week`; refuses what names no minute that will ever come. */
export function parseCron(text: string): ParsedCron {
  const shown = JSON.stringify(text);
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    return { ok: false, message: `${shown} has not five fields; write ${EXAMPLE}` };
  }
  const sets: Set<number>[] = [];
  for (const [index, field] of FIELDS.entries()) {
    const set = parseField(parts[index] ?? '', field);
    if (typeof set === 'string') return { ok: false, message: `${shown}: ${set}` };
    sets.push(set);
  }
  const [minutes, hours, days, months, weekdays] = sets as [
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
    Set<number>,
  ];
  if (weekdays.delete(7)) weekdays.add(0);
  const cron: Cron = {
    minutes: ascending(minutes),
    hours: ascending(hours),
    days,
    months,
    weekdays,
    // As in crontab: a field that begins with a star restricts nothing by itself, and then both must fit.
    eitherDay: !(parts[2]?.startsWith('*') || parts[4]?.startsWith('*')),
  };
  if (firstAfter(cron, 0) === undefined) {
    return { ok: false, message: `${shown} never comes: there is no such day; write ${EXAMPLE}` };
  }
  return { ok: true, cron };
}

/** The values of one field, or what is wrong with it and what to write. */
function parseField(text: string, field: Field): Set<number> | string {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const match = /^(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:\/([0-9]+))?$/i.exec(item);
    const range = match === null ? undefined : rangeOf(match, field);
    if (range === undefined) {
      return `${JSON.stringify(item)} is no ${field.name}; use numbers from ${field.min} to ${field.max}, ranges (1-5), lists (1,15), steps (*/2)`;
    }
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return values;
}

type Range = { readonly from: number; readonly to: number; readonly step: number };

function rangeOf([, star, first, last, every]: RegExpExecArray, field: Field): Range | undefined {
  const step = every === undefined ? 1 : Number(every);
  const from = star === undefined ? numberOf(first ?? '', field) : field.min;
  let to = star === undefined ? numberOf(last ?? first ?? '', field) : field.max;
  if (from === undefined || to === undefined || step < 1) return undefined;
  // `fri-sun`: Sunday ends the week, where it is written as a word.
  if (to === 0 && last !== undefined && from > 0) to = 7;
  // A step says nothing of a single value.
  if (from > to || (every !== undefined && star === undefined && last === undefined)) return undefined;
  return { from, to: star !== undefined && field.max === 7 ? 6 : to, step };
}

function numberOf(text: string, { min, max, words }: Field): number | undefined {
  const word = words?.indexOf(text.toLowerCase()) ?? -1;
  const value = word >= 0 ? word + (min === 1 ? 1 : 0) : /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

const ascending = (values: ReadonlySet<number>): number[] => [...values].sort((a, b) => a - b);

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** The calendar repeats itself, weekdays included, after so many years. */
const CYCLE_YEARS = 400;

/**
 * The first minute after `wall` that the expression names; undefined: there is none. Times of a wall clock are given as
 * the milliseconds that the same reading would have in UTC.
 */
export function firstAfter(cron: Cron, wall: number): number | undefined {
  let time = floorTo(wall, MINUTE) + MINUTE;
  const end = new Date(time).getUTCFullYear() + CYCLE_YEARS;
  for (let day = floorTo(time, DAY); new Date(day).getUTCFullYear() <= end; day = floorTo(time, DAY)) {
    const found = isMonth(cron, day) && isDay(cron, day) ? firstInDay(cron, time - day) : undefined;
    if (found !== undefined) return day + found;
    time = isMonth(cron, day) ? day + DAY : startOfMonth(day, 1);
  }
  return undefined;
}

/** The last minute up to and including `wall` that the expression names; undefined: there is none. */
export function lastUpTo(cron: Cron, wall: number): number | undefined {
  let time = floorTo(wall, MINUTE);
  const end = new Date(time).getUTCFullYear() - CYCLE_YEARS;
  for (let day = floorTo(time, DAY); new Date(day).getUTCFullYear() >= end; day = floorTo(time, DAY)) {
    const found = isMonth(cron, day) && isDay(cron, day) ? lastInDay(cron, time - day) : undefined;
    if (found !== undefined) return day + found;
    time = (isMonth(cron, day) ? day : startOfMonth(day, 0)) - MINUTE;
  }
  return undefined;
}

function firstInDay({ hours, minutes }: Cron, from: number): number | undefined {
  for (const hour of hours) {
    for (const minute of minutes) if ((hour * 60 + minute) * MINUTE >= from) return (hour * 60 + minute) * MINUTE;
  }
  return undefined;
}

function lastInDay({ hours, minutes }: Cron, upTo: number): number | undefined {
  for (const hour of hours.toReversed()) {
    const minute = minutes.findLast((value) => (hour * 60 + value) * MINUTE <= upTo);
    if (minute !== undefined) return (hour * 60 + minute) * MINUTE;
  }
  return undefined;
}

const isMonth = ({ months }: Cron, day: number): boolean => months.has(new Date(day).getUTCMonth() + 1);

function isDay({ days, weekdays, eitherDay }: Cron, day: number): boolean {
  const date = new Date(day);
  const [fitsDay, fitsWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())];
  return eitherDay ? fitsDay || fitsWeekday : fitsDay && fitsWeekday;
}

/** Midnight of the first day of the month, so many months on. */
function startOfMonth(day: number, months: number): number {
  const date = new Date(day);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
}

const floorTo = (time: number, unit: number): number => Math.floor(time / unit) * unit;
