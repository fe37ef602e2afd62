import { expect, test } from 'vitest';
import { parseTestArguments } from './arguments.ts';

test.each([
  [[], { kind: 'run', lanes: undefined, filter: [] }],
  [['scenarios/47'], { kind: 'run', lanes: undefined, filter: ['scenarios/47'] }],
  [['--lanes', '3'], { kind: 'run', lanes: 3, filter: [] }],
  [['--lanes=1', '40', '45'], { kind: 'run', lanes: 1, filter: ['40', '45'] }],
  [['--help'], { kind: 'help' }],
  [['--lanes', '0'], { kind: 'wrong', message: '--lanes 0: a whole number from 1 to 99' }],
  [['--lanes', 'two'], { kind: 'wrong', message: '--lanes two: a whole number from 1 to 99' }],
])('%j', (args, expected) => {
  expect(parseTestArguments(args)).toEqual(expected);
});

test('an option that is not known is named', () => {
  expect(parseTestArguments(['--lane', '2'])).toMatchObject({
    kind: 'wrong',
    message: expect.stringContaining("'--lane'"),
  });
});
