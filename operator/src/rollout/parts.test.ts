// Tables for the small parts of the planner: arithmetic, selectors, order, times.
import { expect, test } from 'vitest';
import { selects as matches } from '../conditions/label-selector.ts';
import { inOrder } from './order.ts';
import { machine } from './rollout.fixture.ts';
import { budgetLimit, parseSize, percentTarget } from './share.ts';
import { stagesOf, stepsHash } from './stage.ts';
import { isReachable, isReached } from './threshold.ts';
import { clockTime, durationMs } from './time.ts';

test.each([
  [10, 37, 4],
  [10, 4, 1],
  [50, 5, 3],
  [50, 3, 2],
  [25, 10, 3],
  [24, 10, 2],
  [1, 1000, 10],
  [1, 10, 1],
  [99, 2, 1],
  [99, 3, 2],
  [99, 1000, 990],
  [50, 1, 1],
  [1, 1, 1],
  [100, 7, 7],
  [100, 0, 0],
  [10, 0, 0],
])('%i %% of %i machines are %i', (percent, matching, expected) => {
  expect(percentTarget(percent, matching)).toBe(expected);
});

test.each<[number | string, number, number]>([
  ['10%', 37, 3],
  ['10%', 5, 1],
  ['10%', 0, 1],
  ['34%', 5, 1],
  ['50%', 5, 2],
  ['100%', 5, 5],
  [3, 2, 3],
  [1, 100, 1],
])('a budget of %s over %i machines is %i', (given, total, expected) => {
  const parsed = parseSize(given);
  expect(parsed && budgetLimit(parsed, total)).toBe(expected);
});

test.each(['0%', '101%', '10', 'x', '-1%', '1.5%', '', 0, -1, 1.5])('%s is no size', (given) => {
  expect(parseSize(given)).toBeUndefined();
});

test.each([
  [9, 10, 90, true],
  [8, 10, 90, false],
  [2, 3, 67, false],
  [2, 3, 66, true],
  [0, 0, 100, true],
  [0, 5, 0, true],
  [999, 1000, 100, false],
  [1000, 1000, 100, true],
])('%i of %i against %i %%: %s', (ok, total, threshold, expected) => {
  expect(isReached(ok, total, threshold)).toBe(expected);
  expect(isReachable(total - ok, total, threshold)).toBe(expected);
});

const labels = { role: 'web', zone: 'a' };
test.each<[Parameters<typeof matches>[0], boolean]>([
  [undefined, true],
  [{}, true],
  [{ matchLabels: { role: 'web' } }, true],
  [{ matchLabels: { role: 'db' } }, false],
  [{ matchLabels: { role: 'web', other: 'x' } }, false],
  [{ matchLabels: { toString: 'x' } }, false],
  [{ matchExpressions: [{ key: 'role', operator: 'In', values: ['db', 'web'] }] }, true],
  [{ matchExpressions: [{ key: 'other', operator: 'In', values: ['x'] }] }, false],
  [{ matchExpressions: [{ key: 'role', operator: 'NotIn', values: ['web'] }] }, false],
  [{ matchExpressions: [{ key: 'other', operator: 'NotIn', values: ['x'] }] }, true],
  [{ matchExpressions: [{ key: 'role', operator: 'Exists' }] }, true],
  [{ matchExpressions: [{ key: 'other', operator: 'Exists' }] }, false],
  [{ matchExpressions: [{ key: 'other', operator: 'DoesNotExist' }] }, true],
  [{ matchLabels: { role: 'web' }, matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }, false],
])('selector %j: %s', (selector, expected) => {
  expect(matches(selector, labels)).toBe(expected);
});

test('order: zones first, those without last, then a hash that differs by rollout, never the order of the input', () => {
  const zone = (z: string) => ({ labels: { 'topology.kubernetes.io/zone': z } });
  const machines = [
    ...['a1', 'a2', 'a3', 'a4', 'a5', 'a6'].map((name) => machine(name, {}, zone('b'))),
    ...['b1', 'b2'].map((name) => machine(name, {}, zone('a'))),
    machine('c1'),
  ];
  const names = (rollout: string, list: typeof machines) => inOrder(rollout, list).map(({ metadata }) => metadata.name);
  const order = names('web', machines);
  expect(order.slice(0, 2).sort()).toEqual(['b1', 'b2']);
  expect(order.at(-1)).toBe('c1');
  expect(names('web', machines.toReversed())).toEqual(order);
  const others = ['db', 'lab', 'x', 'y'].map((rollout) => names(rollout, machines).join());
  expect(new Set(others).size).toBeGreaterThan(1);
});

test("order by a label of one's own keeps its values together", () => {
  const machines = ['a', 'b', 'c', 'a', 'b', 'c', undefined, 'a'].map((rack, i) =>
    machine(`m${i}`, {}, rack === undefined ? {} : { labels: { rack, 'topology.kubernetes.io/zone': `z${i % 2}` } }),
  );
  const racks = inOrder('web', machines, 'rack').map(({ metadata }) => metadata.labels?.['rack']);
  expect(racks).toEqual(['a', 'a', 'a', 'b', 'b', 'c', 'c', undefined]);
});

test.each([
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['1.5m', 90_000],
  ['250ms', 250],
  ['0s', 0],
  ['soon', 7],
  [undefined, 7],
])('duration %s is %i ms', (text, expected) => {
  expect(durationMs(text, 7)).toBe(expected);
});

test('times as people read them', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  expect(clockTime(now + 90_000, now)).toBe('12:02 UTC');
  expect(clockTime(now + 86_400_000, now)).toBe('2026-03-02 12:00 UTC');
});

const spec = (steps: NonNullable<Parameters<typeof stagesOf>[0]['steps']>) => ({ configRef: { name: 'web' }, steps });
test.each([
  ['no steps', [], false, ['batch!']],
  [
    'steps that end before everyone has it',
    [{ batch: { size: 1 } }, { pause: {} }],
    false,
    ['batch', 'pause', 'batch!'],
  ],
  ['a last batch of everyone', [{ batch: { size: 1 } }, { batch: { size: '100%' } }], false, ['batch', 'batch!']],
  [
    'a last batch of everyone with a label',
    [{ batch: { size: '100%', selector: { matchLabels: { a: 'b' } } } }],
    false,
    ['batch', 'batch!'],
  ],
  ['a pause after everyone', [{ batch: { size: '100%' } }, { pause: {} }], false, ['batch', 'pause', 'batch!']],
  ['back to the stable revision', [{ batch: { size: 1 } }, { pause: {} }], true, ['batch!']],
])('stages: %s', (_, steps, direct, expected) => {
  const stages = stagesOf(spec(steps), direct);
  expect(stages.map((stage) => (stage.kind === 'batch' && stage.last ? 'batch!' : stage.kind))).toEqual(expected);
  expect(stages.filter((stage) => stage.kind === 'batch' && stage.first)).toHaveLength(1);
});

test('the hash of the steps depends on what they say, not on the order of keys', () => {
  const a = stepsHash(spec([{ batch: { size: 1, soak: '1m' } }]));
  expect(stepsHash(spec([{ batch: { soak: '1m', size: 1 } }]))).toBe(a);
  expect(stepsHash(spec([{ batch: { size: 2, soak: '1m' } }]))).not.toBe(a);
  expect(stepsHash({ configRef: { name: 'web' } })).toBe(stepsHash(spec([])));
});
