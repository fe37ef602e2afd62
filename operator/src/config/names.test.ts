import { expect, test } from 'vitest';
import { jobName, labelValue, recordName } from './names.ts';

const LONG = 'a'.repeat(120);

test.each([
  ['web', undefined, 'web-0123456789ab'],
  ['web', 'abcdef', 'web-0123456789ab-abcdef'],
])('%s %s -> %s', (config, suffix, name) => {
  expect(jobName(config, '0123456789ab', suffix)).toBe(name);
});

test.each(['web.example.org', LONG, `${LONG}.x`, 'a'.repeat(51)])(
  'a Job for %s has a name that a label may hold',
  (config) => {
    const name = jobName(config, '0123456789ab', 'abcdef');
    expect(name.length).toBeLessThanOrEqual(63);
    expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
  },
);

test('configs that are alike have Jobs and labels of their own', () => {
  expect(jobName('a.b', 'r')).not.toBe(jobName('a-b', 'r'));
  expect(jobName(`${LONG}1`, 'r')).not.toBe(jobName(`${LONG}2`, 'r'));
  expect(labelValue(`${LONG}1`)).not.toBe(labelValue(`${LONG}2`));
  expect(labelValue(LONG).length).toBeLessThanOrEqual(63);
  expect(labelValue('web')).toBe('web');
});

test('a Job that was made anew has records of its own', () => {
  const [first, second] = ['u1', 'u2'].map((uid) => recordName('web', 'r', { name: 'web-r', uid }, 0));
  expect(first).not.toBe(second);
  expect(first).toMatch(/^web-r-[0-9a-f]{8}-0$/);
});
