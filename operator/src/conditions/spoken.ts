// Durations, sizes and revisions as people read them.

/** Seconds for people: `41 s`, `6 min 10 s`, `2 h 5 min`. */
export function spokenSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  return rest > 0 ? `${minutes} min ${rest} s` : `${minutes} min`;
}

/** Bytes for people: `812 KiB`, `212 MiB`, `1.4 GiB`. */
export function spokenBytes(bytes: number): string {
  const { value, unit, exponent } = inUnits(bytes);
  return `${exponent > 2 && value < 10 ? oneDecimal(value) : Math.round(value)} ${unit}`;
}

/** Bytes where people compare two sizes: `19.6 GiB`, `1.5 KiB`, `212 MiB`. */
export function comparedBytes(bytes: number): string {
  const { value, unit, exponent } = inUnits(bytes);
  return `${exponent === 0 || value >= 100 ? Math.round(value) : oneDecimal(value)} ${unit}`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

function inUnits(bytes: number): { value: number; unit: string; exponent: number } {
  let value = bytes;
  let exponent = 0;
  while (value >= 1024 && exponent < UNITS.length - 1) {
    value /= 1024;
    exponent += 1;
  }
  return { value, unit: UNITS[exponent] ?? '', exponent };
}

function oneDecimal(value: number): number {
  return Math.round(value * 10) / 10;
}

/** A revision as people say it: its first 7 digits. */
export function shortRevision(revision: string): string {
  return revision.slice(0, 7);
}
