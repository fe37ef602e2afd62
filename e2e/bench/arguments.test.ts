// The command line of `npm run bench`.
import { expect, test } from 'vitest';
import { parseBenchArguments } from './arguments.ts';

test.each([
  { argv: ['rollout'], value: { bench: 'rollout', machines: 1000, json: false, cpuProfile: undefined } },
  {
    argv: ['rollout', '--machines', '200', '--json'],
    value: { bench: 'rollout', machines: 200, json: true, cpuProfile: undefined },
  },
  {
    argv: ['--machines=1', 'rollout', '--cpu-profile', '/tmp/p'],
    value: { bench: 'rollout', machines: 1, json: false, cpuProfile: '/tmp/p' },
  },
  { argv: ['agent'], value: { bench: 'agent', json: false, idleSeconds: 180 } },
  { argv: ['agent', '--json', '--idle-seconds', '60'], value: { bench: 'agent', json: true, idleSeconds: 60 } },
])('$argv', ({ argv, value }) => {
  expect(parseBenchArguments(argv)).toEqual({ kind: 'run', value });
});

test('help', () => {
  expect(parseBenchArguments(['--help'])).toEqual({ kind: 'help' });
});

test.each([
  { argv: [], says: 'which bench' },
  { argv: ['rolout'], says: '"rolout" is no bench; use rollout or agent' },
  { argv: ['rollout', 'twice'], says: '"twice" is no bench' },
  { argv: ['rollout', '--machines', '0'], says: '--machines: "0"' },
  { argv: ['rollout', '--machines', '1e3'], says: 'a number from 1 to 10000' },
  { argv: ['rollout', '--machines', '10001'], says: 'a number from 1 to 10000' },
  { argv: ['rollout', '--machines', '-5'], says: '--machines' },
  { argv: ['rollout', '--machines'], says: '--machines' },
  { argv: ['agent', '--idle-seconds', '5'], says: 'a number from 30 to 3600' },
  { argv: ['agent', '--machines', '5'], says: '--machines is not for the bench agent' },
  { argv: ['rollout', '--fast'], says: '--fast' },
])('$argv is refused', ({ argv, says }) => {
  const parsed = parseBenchArguments(argv);
  expect(parsed.kind).toBe('wrong');
  expect(parsed.kind === 'wrong' ? parsed.message : '').toContain(says);
});
