import { expect, test } from 'vitest';
import { complaints } from './operator-pods.ts';

const line = (level: number, more: object) => ({ level, time: '2026-01-01T00:00:00Z', ...more });

test.each([
  ['an error', line(50, { msg: 'broken' }), 1],
  ['a request that was forbidden', line(40, { msg: 'nodes is forbidden' }), 1],
  ['its status in an error', line(40, { err: { status: 403 } }), 1],
  ['a warning', line(40, { msg: 'slow' }), 0],
  ['digits of something else', line(30, { revision: '24033f', attempt: 'a403' }), 0],
])('%s', (_, given, expected) => {
  expect(complaints([given])).toHaveLength(expected);
});
