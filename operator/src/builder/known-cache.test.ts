import { expect, test } from 'vitest';
import { needKnownCache } from './known-cache.ts';

const { signal } = new AbortController();
const ask = (url: string) => {
  const warned: string[] = [];
  return { asked: needKnownCache(url, { signal, warn: (message) => warned.push(message) }), warned };
};

test('a cache whose name no pod knows is told before anything is built, with the setting', async () => {
  const error = await ask('http://cache.floe.invalid:8080/fleet').asked.catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    message: 'the host of the cache http://cache.floe.invalid:8080/fleet is not known in pods of this namespace',
    field: expect.stringContaining('cache.publicUrl'),
    remedy: expect.stringContaining('pods and machines'),
  });
});

test('one that is away for now stops no build', async () => {
  const { asked, warned } = ask('http://127.0.0.1:1/fleet');
  await asked;
  expect(warned).toHaveLength(1);
});

test('one that only Nix can ask is not asked', async () => {
  const { asked, warned } = ask('s3://bucket');
  await asked;
  expect(warned).toEqual([]);
});
