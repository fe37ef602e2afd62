import { expect, test } from 'vitest';
import { peerAddress } from './peer-address.ts';

test.each([
  ['::ffff:10.244.0.1', '10.244.0.1'],
  ['10.244.0.1', '10.244.0.1'],
  ['fd00::1', 'fd00::1'],
  ['::ffff:0:1', '::ffff:0:1'],
  [undefined, 'unknown'],
])('%s is told as %s', (remoteAddress, said) => {
  expect(peerAddress({ remoteAddress })).toBe(said);
});
