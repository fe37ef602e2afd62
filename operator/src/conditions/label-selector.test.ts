import type { RolloutSpec } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import { selects } from './label-selector.ts';

type Selector = RolloutSpec['selector'];
const expression = (key: string, operator: string, values?: string[]): Selector =>
  ({ matchExpressions: [{ key, operator, ...(values === undefined ? {} : { values }) }] }) as Selector;
const labels = { role: 'web', zone: 'a' };

test.each<[Selector, boolean]>([
  [undefined, true],
  [{}, true],
  [{ matchLabels: { role: 'web' } }, true],
  [{ matchLabels: { role: 'web', zone: 'b' } }, false],
  [{ matchLabels: { toString: 'x' } }, false],
  [expression('role', 'In', ['db', 'web']), true],
  [expression('role', 'In', ['db']), false],
  [expression('absent', 'In', ['db']), false],
  [expression('role', 'NotIn', ['web']), false],
  [expression('absent', 'NotIn', ['web']), true],
  [expression('zone', 'Exists'), true],
  [expression('absent', 'Exists'), false],
  [expression('absent', 'DoesNotExist'), true],
  [expression('zone', 'DoesNotExist'), false],
  [expression('zone', 'Near', ['a']), false],
])('%j: %j', (selector, wanted) => {
  expect(selects(selector, labels)).toBe(wanted);
});
