// Times as people read them.
import { expect, test } from 'vitest';
import { clockTime } from './time.ts';

test.each<[string, string, string]>([
  ['what is to come is rounded up', '2026-03-01T14:30:01Z', '14:31 UTC'],
  ['what was is cut: it does not lie ahead', '2026-03-01T14:29:59Z', '14:29 UTC'],
  ['of another day', '2026-02-28T23:59:30Z', '2026-02-28 23:59 UTC'],
  ['a whole minute', '2026-03-01T14:31:00Z', '14:31 UTC'],
])('a time as people read it: %s', (_, time, said) => {
  expect(clockTime(Date.parse(time), Date.parse('2026-03-01T14:30:00Z'))).toBe(said);
});
