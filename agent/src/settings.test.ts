// The configuration file: each fault is named with its key and its remedy.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeKeyPair } from '@floe/crds/nix-key';
import { expect, test } from 'vitest';
import { parseSettings, SettingsError } from './settings.ts';

const good = { hub: 'https://hub.example:8443', namespace: 'shop', machine: 'web-01' };
const key = makeKeyPair('k-1').public;

test('what is left out has its default', () => {
  expect(parseSettings(JSON.stringify(good), 'f')).toEqual({
    ...good,
    hostKeyFile: '/etc/ssh/ssh_host_ed25519_key',
    substituters: [],
    secrets: {},
    reserveBytes: 512 * 2 ** 20,
    bootCounting: false,
  });
});

test('everything is taken as given', () => {
  const all = {
    ...good,
    caFile: '/etc/ca.pem',
    hostKeyFile: '/k',
    trustedPublicKeys: [key],
    substituters: ['https://c'],
    usersGroup: 'floe-users',
    secrets: { tls: { restartUnits: ['nginx.service'], reloadUnits: [] } },
  };
  const inMiB = { ...all, reserveMiB: 100, generations: { keep: 5, maxAgeSeconds: 60 }, bootCounting: true };
  const { reserveMiB, ...others } = inMiB;
  expect(parseSettings(JSON.stringify(inMiB), 'f')).toEqual({ ...others, reserveBytes: reserveMiB * 2 ** 20 });
});

test.each<{ name: string; text: string; says: string }>([
  { name: 'no JSON', text: '{', says: 'f: it is no JSON' },
  { name: 'a list', text: '[]', says: 'no JSON object' },
  { name: 'no hub', text: JSON.stringify({ ...good, hub: undefined }), says: 'f: hub: it is missing; set it to' },
  {
    name: 'plain http',
    text: JSON.stringify({ ...good, hub: 'http://hub:1' }),
    says: 'hub: "http://hub:1" is no https URL',
  },
  { name: 'a password in the URL', text: JSON.stringify({ ...good, hub: 'https://a:b@hub' }), says: 'hub:' },
  { name: 'a number as machine', text: JSON.stringify({ ...good, machine: 3 }), says: 'machine: 3 is no text' },
  {
    name: 'a machine that no object can be called',
    text: JSON.stringify({ ...good, machine: 'Web 01' }),
    says: 'machine: "Web 01" is no name',
  },
  {
    name: 'a reserve that is none',
    text: JSON.stringify({ ...good, reserveMiB: '1G' }),
    says: 'reserveMiB: "1G" is no number',
  },
  { name: 'no generation', text: JSON.stringify({ ...good, generations: { keep: 0 } }), says: 'keep: use 1 or more' },
  { name: 'an empty namespace', text: JSON.stringify({ ...good, namespace: '' }), says: 'namespace:' },
  {
    name: 'a key that is none',
    text: JSON.stringify({ ...good, trustedPublicKeys: ['abc'] }),
    says: 'trustedPublicKeys: "abc"',
  },
  {
    name: 'keys as text',
    text: JSON.stringify({ ...good, trustedPublicKeys: key }),
    says: 'trustedPublicKeys: it is no list',
  },
  {
    name: 'a misspelt key',
    text: JSON.stringify({ ...good, cafile: 'x' }),
    says: 'cafile: there is no such key; use hub, caFile',
  },
  { name: 'an empty group', text: JSON.stringify({ ...good, usersGroup: '' }), says: 'usersGroup:' },
  { name: 'secrets as a list', text: JSON.stringify({ ...good, secrets: [] }), says: 'secrets: it is no object' },
  {
    name: 'a unit that is none',
    text: JSON.stringify({ ...good, secrets: { tls: { restartUnits: ['nginx; reboot'] } } }),
    says: '"nginx; reboot" is no unit',
  },
  { name: 'an empty caFile', text: JSON.stringify({ ...good, caFile: '' }), says: 'caFile:' },
])('$name', ({ text, says }) => {
  expect(() => parseSettings(text, 'f')).toThrow(SettingsError);
  expect(() => parseSettings(text, 'f')).toThrow(says);
});

test('the NixOS module knows the same keys, so a wrong one fails the evaluation and not the agent', async () => {
  const file = await readFile(join(import.meta.dirname, '../../nix/settings.nix'), 'utf8');
  const [, block = ''] = /\n {2}keys = \{\n([\s\S]*?)\n {2}\};/.exec(file) ?? [];
  const inModule = [...block.matchAll(/^ {4}(\w+) = \{$/gm)].map(([, key]) => key);
  let inAgent: string[] = [];
  try {
    parseSettings('{"no-such-key": 1}', 'f');
  } catch (error: unknown) {
    const [, list = ''] = /there is no such key; use (.*)$/.exec(String(error)) ?? [];
    inAgent = list.split(', ');
  }
  expect(inModule.length).toBeGreaterThan(5);
  expect(inModule.toSorted()).toEqual(inAgent.toSorted());
});
