import { expect, test } from 'vitest';
import { rfc3339, rfc3339Exact } from './rfc3339.ts';

test.each([
  [Date.UTC(2026, 2, 1, 12), '2026-03-01T12:00:00Z', '2026-03-01T12:00:00Z'],
  [Date.UTC(2026, 2, 1, 12, 0, 0, 999), '2026-03-01T12:00:00Z', '2026-03-01T12:00:00.999Z'],
  [Date.UTC(2026, 11, 31, 23, 59, 59, 50), '2026-12-31T23:59:59Z', '2026-12-31T23:59:59.050Z'],
])('%d is %s in whole seconds, and %s exactly', (ms, whole, exact) => {
  expect(rfc3339(ms)).toBe(whole);
  expect(rfc3339(new Date(ms))).toBe(whole);
  expect(rfc3339Exact(ms)).toBe(exact);
});
