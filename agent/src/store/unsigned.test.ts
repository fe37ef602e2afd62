import { expect, test } from 'vitest';
import { unsignedComplaint } from './unsigned.ts';

const trusted = { keys: ['ops-1:x', 'fleet-1:y'], own: true };
const closure = '/nix/store/zzm4cx29gij0g18vl1km5vgyirnmxfvw-nixos-system-m3';
const warning = (path: string, cache: string) =>
  `warning: ignoring substitute for '${path}' from '${cache}', as it's not signed by any of the keys in 'trusted-public-keys'`;

test('a substitute that no trusted key has signed is named with its cache, once, and with what to do', () => {
  const stderr = `${warning(closure, 'http://c/shop')}\n${warning(closure, 'http://c/shop')}\nerror: build of '${closure}' failed\n`;
  expect(unsignedComplaint(closure, stderr, trusted)).toBe(
    `Not signed by a key that this machine trusts: ${closure} from http://c/shop. Trusted here: ops-1, fleet-1 (services.floe-agent.trustedPublicKeys). Add the key that signs, status.cache.publicKey of the NixConfig, to services.floe-agent.trustedPublicKeys.`,
  );
});

test('of many the first three are named', () => {
  const stderr = ['a', 'b', 'c', 'd', 'e'].map((name) => warning(name, 'http://c')).join('\n');
  expect(unsignedComplaint(closure, stderr, trusted)).toContain(
    ': a from http://c; b from http://c; c from http://c, and 2 more.',
  );
});

test.each([
  "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key",
  "error: path '/nix/store/x' is signed by an untrusted key",
])('%s', (said) => {
  const message = unsignedComplaint(closure, `${said}\nerror: build of '${closure}' failed`, {
    keys: ['ops-1:x'],
    own: false,
  });
  expect(message).toContain(`Nix refuses ${closure}: `);
  expect(message).toContain('/nix/store/x');
  expect(message).toContain('Trusted here: ops-1 (nix.settings.trusted-public-keys).');
  expect(message).toContain('to services.floe-agent.trustedPublicKeys or nix.settings.trusted-public-keys.');
});

test('anything else is no matter of signatures', () => {
  expect(unsignedComplaint(closure, "error: unable to download 'http://c': Couldn't connect", trusted)).toBeUndefined();
});
