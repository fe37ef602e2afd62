// Cron expressions: what they name, against a naive reading and against croner; what is refused and why.
import { Cron as Croner } from 'croner';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Cron, firstAfter, lastUpTo, parseCron } from './cron.ts';

const read = (text: string): Cron => {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.cron;
};
const ms = (text: string): number => Date.parse(text);
const iso = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString().slice(0, 16);

describe('the first minute after a reading, and the last up to it', () => {
  test.each([
    ['0 22 * * *', '2026-03-01T21:59', '2026-03-01T22:00', '2026-02-28T22:00'],
    ['0 22 * * *', '2026-03-01T22:00', '2026-03-02T22:00', '2026-03-01T22:00'],
    ['*/15 * * * *', '2026-03-01T22:01', '2026-03-01T22:15', '2026-03-01T22:00'],
    ['30 1-3/2 * * *', '2026-03-01T02:00', '2026-03-01T03:30', '2026-03-01T01:30'],
    ['0 0 * * 1-5', '2026-03-06T12:00', '2026-03-09T00:00', '2026-03-06T00:00'],
    ['0 0 * * mon-FRI', '2026-03-06T12:00', '2026-03-09T00:00', '2026-03-06T00:00'],
    ['0 0 * * 7', '2026-03-01T12:00', '2026-03-08T00:00', '2026-03-01T00:00'],
    ['0 0 * * 0', '2026-03-01T12:00', '2026-03-08T00:00', '2026-03-01T00:00'],
    ['0 0 * * fri-sun', '2026-03-01T12:00', '2026-03-06T00:00', '2026-03-01T00:00'],
    ['0 0 1 jan,JUL *', '2026-03-01T12:00', '2026-07-01T00:00', '2026-01-01T00:00'],
    ['0 0 29 2 *', '2026-03-01T12:00', '2028-02-29T00:00', '2024-02-29T00:00'],
    ['0 0 31 * *', '2026-04-01T12:00', '2026-05-31T00:00', '2026-03-31T00:00'],
    ['59 23 31 12 *', '2026-03-01T12:00', '2026-12-31T23:59', '2025-12-31T23:59'],
    // Both day fields are restricted: a day that fits either will do.
    ['0 0 13 * 5', '2026-03-10T12:00', '2026-03-13T00:00', '2026-03-06T00:00'],
    ['0 0 15 * 5', '2026-03-13T12:00', '2026-03-15T00:00', '2026-03-13T00:00'],
    // Never in February, so Mondays alone are left.
    ['0 0 30 2 1', '2026-02-10T12:00', '2026-02-16T00:00', '2026-02-09T00:00'],
    // A field that begins with a star restricts nothing by itself: both must fit.
    ['0 0 */2 * 1', '2026-03-02T12:00', '2026-03-09T00:00', '2026-02-23T00:00'],
    // 2100 is no leap year.
    ['0 0 29 2 *', '2096-03-01T00:00', '2104-02-29T00:00', '2096-02-29T00:00'],
  ])('%s at %s', (text, at, next, last) => {
    const cron = read(text);
    expect([iso(firstAfter(cron, ms(`${at}Z`))), iso(lastUpTo(cron, ms(`${at}Z`)))]).toEqual([next, last]);
  });
});

describe('refused, with what to write', () => {
  test.each([
    ['0 22 * *', 'five fields'],
    ['0 0 22 * * *', 'five fields'],
    ['@daily', 'five fields'],
    ['', 'five fields'],
    ['60 * * * *', '"60" is no minute'],
    ['* 24 * * *', '"24" is no hour'],
    ['* * 0 * *', '"0" is no day of month'],
    ['* * * 13 *', '"13" is no month'],
    ['* * * * 8', '"8" is no day of week'],
    ['* * L * *', '"L" is no day of month'],
    ['* * * * 5#2', 'is no day of week'],
    ['* * ? * *', 'is no day of month'],
    ['5/15 * * * *', '"5/15" is no minute'],
    ['*/0 * * * *', '"*/0" is no minute'],
    ['0 22-2 * * *', '"22-2" is no hour'],
    ['0, * * * *', '"" is no minute'],
    ['-5 * * * *', '"-5" is no minute'],
    ['1.5 * * * *', '"1.5" is no minute'],
    ['0 0 30 2 *', 'never comes'],
    ['0 0 31 2,4,6,9,11 *', 'never comes'],
  ])('%s', (text, why) => {
    const parsed = parseCron(text);
    expect(parsed).toMatchObject({ ok: false });
    if (!parsed.ok) expect(parsed.message).toContain(why);
    if (!parsed.ok) expect(parsed.message).toMatch(/; (write|use) /);
  });
});

const numbers = (min: number, max: number) => fc.integer({ min, max });
const item = (min: number, max: number) =>
  fc.oneof(
    { weight: 3, arbitrary: numbers(min, max).map(String) },
    fc.tuple(numbers(min, max), numbers(min, max)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc
      .tuple(numbers(min, max), numbers(min, max), numbers(1, 6))
      .map(([a, b, step]) => `${Math.min(a, b)}-${Math.max(a, b)}/${step}`),
  );
const list = (min: number, max: number) =>
  fc.array(item(min, max), { minLength: 1, maxLength: 3 }).map((items) => items.join(','));
const field = (min: number, max: number) => fc.oneof({ weight: 1, arbitrary: fc.constant('*') }, list(min, max));
/** Expressions of five fields; a star with a step in a day field is left to the table. */
const expression = fc
  .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7))
  .map((fields) => fields.join(' '));

test('it finds what croner finds, forwards', () => {
  fc.assert(
    fc.property(
      expression,
      fc.integer({ min: ms('2024-01-01T00:00:00Z'), max: ms('2032-01-01T00:00:00Z') }),
      (text, at) => {
        const next = new Croner(text, { timezone: 'UTC', paused: true }).nextRun(new Date(at));
        expect(iso(firstAfter(read(text), at))).toBe(iso(next?.getTime()));
      },
    ),
    { numRuns: 200 },
  );
});

test('forwards and backwards agree, and nothing lies between', () => {
  fc.assert(
    fc.property(
      expression,
      fc.integer({ min: ms('2024-01-01T00:00:00Z'), max: ms('2032-01-01T00:00:00Z') }),
      (text, at) => {
        const cron = read(text);
        const next = firstAfter(cron, at) ?? Number.NaN;
        expect(next).toBeGreaterThan(at);
        expect(lastUpTo(cron, next)).toBe(next);
        expect(lastUpTo(cron, next - 1)).toBe(lastUpTo(cron, at));
        expect(firstAfter(cron, (lastUpTo(cron, at) ?? Number.NaN) - 1)).toBe(lastUpTo(cron, at));
      },
    ),
  );
});
