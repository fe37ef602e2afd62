import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeKeyPair } from '@floe/crds/nix-key';
import { expect, test } from 'vitest';
import { readSigningKey } from './signing-key.ts';

const pair = makeKeyPair('team-a-floe-1');

test.each([
  ['the right key', `${pair.secret}\n`, undefined],
  ['no key', '', 'malformed'],
  ['a public key', pair.public, 'malformed'],
  ['the key of another pair', makeKeyPair('team-a-floe-1').secret, 'not the one'],
  ['no file', undefined, "can't be read"],
])('%s', async (_what, text, words) => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const file = join(folder, 'secret');
  if (text !== undefined) await writeFile(file, text);
  const read = readSigningKey(file, pair.public);
  if (words === undefined) expect(await read).toBe(pair.secret);
  else await expect(read).rejects.toThrow(words);
  await rm(folder, { recursive: true });
});
