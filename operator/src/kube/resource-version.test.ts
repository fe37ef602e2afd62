// Tests of the order of resource versions.
import { expect, test } from 'vitest';
import { compareVersions } from './resource-version.ts';

test.each([
  ['1', '2', -1],
  ['2', '1', 1],
  ['7', '7', 0],
  ['9', '10', -1],
  ['9007199254740993', '9007199254740992', 1],
  ['10', 'abc', undefined],
  ['', '1', undefined],
  ['01', '1', undefined],
  [undefined, '1', undefined],
])('%s against %s', (a, b, sign) => {
  const order = compareVersions(a, b);
  expect(order === undefined ? undefined : Math.sign(order)).toBe(sign);
});
