// Windows: by table around changes of the clocks, and by a minute-by-minute oracle over zones and years.
import type { Window as Spec } from '@floe/crds/rollout-window';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stretchAt, windowsOf } from './window.ts';
import { momentOf, startAfter, startUpTo } from './window-moments.ts';
import { Oracle } from './window-oracle.fixture.ts';

const ms = (text: string): number => Date.parse(text);
const HOUR = 3_600_000;

function at(zone: string, windows: readonly Spec[], moment: number) {
  return stretchAt(windowsOf({ windows: [...windows] }), zone, moment);
}
const night = (cron: string, duration: string, timeZone: string): Spec => ({ cron, duration, timeZone });

describe('when a window is open', () => {
  test.each<[string, readonly Spec[], string, boolean, string | undefined]>([
    ['before', [night('0 22 * * *', '4h', 'UTC')], '2026-03-01T21:59:59.999Z', false, '2026-03-01T22:00:00Z'],
    [
      'its start belongs to it',
      [night('0 22 * * *', '4h', 'UTC')],
      '2026-03-01T22:00:00Z',
      true,
      '2026-03-02T02:00:00Z',
    ],
    ['its last ms', [night('0 22 * * *', '4h', 'UTC')], '2026-03-02T01:59:59.999Z', true, '2026-03-02T02:00:00Z'],
    ['its end does not', [night('0 22 * * *', '4h', 'UTC')], '2026-03-02T02:00:00Z', false, '2026-03-02T22:00:00Z'],
    ['in a zone', [night('0 22 * * *', '4h', 'Asia/Tokyo')], '2026-03-01T13:00:00Z', true, '2026-03-01T17:00:00Z'],
    ['seconds count', [night('0 22 * * *', '30s', 'UTC')], '2026-03-01T22:00:30Z', false, '2026-03-02T22:00:00Z'],
    // Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00Z.
    [
      'spring: 02:30 is skipped',
      [night('30 2 * * *', '1h', 'Europe/Berlin')],
      '2026-03-29T01:00:00Z',
      false,
      '2026-03-29T01:30:00Z',
    ],
    [
      'spring: it starts at 03:30',
      [night('30 2 * * *', '1h', 'Europe/Berlin')],
      '2026-03-29T01:30:00Z',
      true,
      '2026-03-29T02:30:00Z',
    ],
    [
      'spring: 4 h are 4 h',
      [night('0 22 * * *', '6h', 'Europe/Berlin')],
      '2026-03-28T21:00:00Z',
      true,
      '2026-03-29T03:00:00Z',
    ],
    [
      'the day after',
      [night('30 2 * * *', '1h', 'Europe/Berlin')],
      '2026-03-30T00:30:00Z',
      true,
      '2026-03-30T01:30:00Z',
    ],
    [
      'spring: 02:30 and 03:30 are one start',
      [night('30 2,3 * * *', '30m', 'Europe/Berlin')],
      '2026-03-29T01:30:00Z',
      true,
      '2026-03-29T02:00:00Z',
    ],
    [
      'spring: 02:45 comes after 03:00',
      [night('45 2 * * *', '10m', 'Europe/Berlin'), night('0 3 * * *', '10m', 'Europe/Berlin')],
      '2026-03-29T01:10:00Z',
      false,
      '2026-03-29T01:45:00Z',
    ],
    // Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00Z.
    [
      'autumn: the first 02:30',
      [night('30 2 * * *', '15m', 'Europe/Berlin')],
      '2026-10-25T00:30:00Z',
      true,
      '2026-10-25T00:45:00Z',
    ],
    [
      'autumn: not the second',
      [night('30 2 * * *', '15m', 'Europe/Berlin')],
      '2026-10-25T01:30:00Z',
      false,
      '2026-10-26T01:30:00Z',
    ],
    [
      'autumn: a list, once',
      [night('0,30 2 * * *', '15m', 'Europe/Berlin')],
      '2026-10-25T01:00:00Z',
      false,
      '2026-10-26T01:00:00Z',
    ],
    [
      'autumn: 4 h are 4 h',
      [night('0 0 * * *', '4h', 'Europe/Berlin')],
      '2026-10-24T22:00:00Z',
      true,
      '2026-10-25T02:00:00Z',
    ],
    // Lord Howe changes by half an hour, at 02:00.
    [
      'half an hour',
      [night('15 2 * * *', '1h', 'Australia/Lord_Howe')],
      '2026-10-03T15:30:00Z',
      false,
      '2026-10-03T15:45:00Z',
    ],
    // Santiago skips the hour after midnight.
    [
      'a day that begins at 01:00',
      [night('0 0 * * *', '1h', 'America/Santiago')],
      '2026-09-06T04:00:00Z',
      true,
      '2026-09-06T05:00:00Z',
    ],
    // Apia skipped the 30 December 2011.
    [
      'a day that never was',
      [night('0 12 30 12 *', '1h', 'Pacific/Apia')],
      '2011-12-30T22:00:00Z',
      true,
      '2011-12-30T23:00:00Z',
    ],
    [
      'overlapping',
      [night('0 22 * * *', '2h', 'UTC'), night('0 23 * * *', '3h', 'UTC')],
      '2026-03-01T22:30:00Z',
      true,
      '2026-03-02T02:00:00Z',
    ],
    [
      'touching',
      [night('0 22 * * *', '2h', 'UTC'), night('0 0 * * *', '1h', 'UTC')],
      '2026-03-01T23:59:00Z',
      true,
      '2026-03-02T01:00:00Z',
    ],
    [
      'the earlier of two',
      [night('0 22 * * 1', '2h', 'UTC'), night('0 4 * * *', '1h', 'UTC')],
      '2026-03-01T12:00:00Z',
      false,
      '2026-03-02T04:00:00Z',
    ],
    ['longer than its distance', [night('0 22 * * *', '25h', 'UTC')], '2026-03-01T21:59:00Z', true, undefined],
    ['once in four years', [night('0 0 29 2 *', '1h', 'UTC')], '2026-03-01T12:00:00Z', false, '2028-02-29T00:00:00Z'],
  ])('%s', (_name, windows, moment, open, until) => {
    const found = at('UTC', windows, ms(moment));
    expect(found.open).toBe(open);
    if (until !== undefined) expect(new Date(found.until ?? 0).toISOString().replace('.000Z', 'Z')).toBe(until);
  });

  test('in the zone of each machine', () => {
    const windows = [night('0 22 * * *', '1h', 'Machine')];
    const opens = ['Asia/Tokyo', 'UTC', 'America/New_York'].map(
      (zone) => at(zone, windows, ms('2026-03-01T00:00:00Z')).until,
    );
    expect(opens).toEqual([ms('2026-03-01T13:00:00Z'), ms('2026-03-01T22:00:00Z'), ms('2026-03-01T03:00:00Z')]);
  });

  test('a zone that does not exist opens nothing that goes by it', () => {
    const both = [night('0 22 * * *', '1h', 'Machine'), night('0 4 * * *', '1h', 'UTC')];
    expect(at('Nowhere/At_All', both.slice(0, 1), 0)).toMatchObject({ open: false, until: undefined });
    expect(at('Nowhere/At_All', both, 0)).toMatchObject({ open: false, until: 4 * HOUR });
  });
});

/** Zones with every kind of change there is: half hours, at midnight, southern, none, twice a year for Ramadan. */
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/St_Johns',
  'Australia/Lord_Howe',
  'Pacific/Chatham',
  'America/Santiago',
  'Africa/Casablanca',
  'Asia/Kathmandu',
  'Pacific/Auckland',
  'Asia/Beirut',
  'Atlantic/Azores',
];
/** Days on which clocks change somewhere, and one on which they do not. */
const DAYS = [
  '2026-03-08',
  '2026-03-22',
  '2026-03-29',
  '2026-04-05',
  '2026-09-06',
  '2026-09-27',
  '2026-10-04',
  '2026-10-25',
  '2026-11-01',
  '2026-02-15',
  '2026-03-15',
  '2026-06-11',
];

const cron = fc
  .tuple(
    fc.constantFrom('0', '30', '15', '45', '0,30', '*/20', '59', '7'),
    fc.constantFrom('*', '0', '1', '2', '3', '23', '1-3', '*/2', '22', '0,2'),
    fc.constantFrom('*', '*', '1', '29', '8,25', '*/2'),
    fc.constantFrom('*', '*', '3', '9-11'),
    fc.constantFrom('*', '*', '0', '7', '1-5', '6'),
  )
  .map((fields) => fields.join(' '));
const windows = fc.array(fc.record({ cron, minutes: fc.constantFrom(1, 10, 30, 60, 90, 240, 1500) }), {
  minLength: 1,
  maxLength: 3,
});

test('it is what a clock that is watched every minute would say', () => {
  let seen = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.constantFrom(...DAYS),
      windows,
      fc.array(fc.integer({ min: 0, max: 3 * 24 * 60 * 60_000 }), { minLength: 20, maxLength: 40 }),
      (zone, day, given, moments) => {
        const from = ms(`${day}T00:00:00Z`) - 36 * HOUR;
        const to = from + 4 * 24 * HOUR;
        const oracle = new Oracle(given, zone, { from, to, lead: 1600 });
        const specs = given.map(
          ({ cron: text, minutes }): Spec => ({ cron: text, duration: `${minutes}m`, timeZone: 'Machine' }),
        );
        for (const offset of moments) {
          const moment = from + offset;
          const found = at(zone, specs, moment);
          expect([zone, new Date(moment).toISOString(), found.open]).toEqual([
            zone,
            new Date(moment).toISOString(),
            oracle.isOpen(moment),
          ]);
          const change = oracle.changeAfter(moment);
          // Windows that follow on each other without end are looked at again some time, and are open then.
          const early = found.open && found.until !== undefined && found.until < (change ?? to);
          if (early) expect(oracle.isOpen(found.until ?? 0)).toBe(true);
          else if (change !== undefined) expect(found.until).toBe(change);
          else if (found.until !== undefined) expect(found.until).toBeGreaterThanOrEqual(to);
          expect(found.from).toBeLessThanOrEqual(moment);
          seen += 1;
        }
      },
    ),
    { numRuns: 40 },
  );
  expect(seen).toBeGreaterThan(700);
}, 120_000);

test('starts are found in both directions, none is left out', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      cron,
      fc.constantFrom(...DAYS),
      fc.integer({ min: -72, max: 72 }),
      (zone, text, day, hours) => {
        const [window] = windowsOf({ windows: [{ cron: text, duration: '1m', timeZone: zone }] });
        if (window === undefined) throw new Error('no window');
        const moment = ms(`${day}T00:00:00Z`) + hours * HOUR;
        const next = startAfter(window.cron, zone, moment) ?? Number.NaN;
        expect(next).toBeGreaterThan(moment);
        expect(startUpTo(window.cron, zone, next)).toBe(next);
        expect(startUpTo(window.cron, zone, next - 1)).toBe(startUpTo(window.cron, zone, moment));
      },
    ),
    { numRuns: 200 },
  );
});

test('a reading of a clock becomes the moment that shows it', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ZONES),
      fc.integer({ min: ms('1990-01-01T00:00:00Z'), max: ms('2037-01-01T00:00:00Z') }),
      (zone, wall) => {
        const moment = momentOf(zone, Math.floor(wall / 60_000) * 60_000);
        expect(Math.abs(moment - wall)).toBeLessThan(15 * HOUR);
      },
    ),
  );
});
