// Time zones of the IANA data base: which names are known, and how far a zone's clocks are from UTC at a moment.

/** The word by which a window follows each machine's own zone. */
export const MACHINE_ZONE = 'Machine';

/** Making a format costs far more than using it; there are some 600 names. */
const formats = new Map<string, Intl.DateTimeFormat>();
const NAMES_AT_MOST = 1000;

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  if (formats.size >= NAMES_AT_MOST) formats.clear();
  formats.set(zone, made);
  return made;
}

/** Whether a name is a zone of the IANA data base, `Europe/Berlin` or `UTC`; an offset such as `+02:00` is none. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * What the zone's wall clocks show at a moment (ms since 1970), as the milliseconds that the same reading would have in
 * UTC. Throws RangeError where the zone is not known.
 */
export function wallTime(zone: string, moment: number): number {
  if (zone === 'UTC') return moment;
  const second = Math.floor(moment / 1000) * 1000;
  const read: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(second)) read[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second: s = 0 } = read;
  return Date.UTC(year, month - 1, day, hour, minute, s) + (moment - second);
}

/** How far ahead of UTC the zone's clocks are at a moment, in ms. */
export function zoneOffset(zone: string, moment: number): number {
  return wallTime(zone, moment) - moment;
}
