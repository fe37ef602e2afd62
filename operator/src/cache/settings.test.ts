import { expect, test } from 'vitest';
import { readFlags, SettingError } from '../flags.ts';
import { cacheFlags, cacheSettings, quantityBytes } from './settings.ts';

test.each([
  ['0', 0],
  ['1500', 1500],
  ['50Gi', 50 * 2 ** 30],
  ['1.5Mi', 1.5 * 2 ** 20],
  ['2G', 2e9],
  ['x', undefined],
  ['-1Gi', undefined],
  ['1 GiB', undefined],
])('%s is %s bytes', (text, expected) => {
  expect(quantityBytes(text)).toBe(expected);
});

const settings = (...argv: string[]) => cacheSettings(readFlags(cacheFlags, argv, { FLOE_CACHE_DIRECTORY: '/cache' }));

test('defaults', () => {
  expect(settings()).toMatchObject({ directory: '/cache', port: 8080, httpPort: 9090, maxBytes: 0, tokenReview: true });
});

test.each([
  ['--max-size', ['--max-size', 'much']],
  ['--tls-key', ['--tls-cert', '/x']],
  ['--uploads', ['--uploads', '0']],
])('%s that can not be is refused by name', (field, argv) => {
  expect(() => settings(...argv)).toThrow(SettingError);
  expect(() => settings(...argv)).toThrow(field);
});
