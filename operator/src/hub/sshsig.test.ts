import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalKey } from '../conditions/identity.ts';
import { machineKey } from './agent.fixture.ts';
import { parseSshSignature, verifySshSignature } from './sshsig.ts';

/** Made with `ssh-keygen -Y sign -n floe-agent` of OpenSSH 10; the private key is gone. */
const PUBLIC = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL5VKh4T1WqdkYG8MOsR/ylwCRJT4SMuUPm4kfb+643E web-01';
const TEXT = 'floe-agent/v1\n1\nsession\nhub.example:8443\nshop\nweb-01\nbm9uY2U=\n2026-03-01T10:00:00Z\n';
const SHA512 = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgvlUqHhPVap2Rgbww6xH/KXAJEl
PhIy5Q+biR9v7rjcQAAAAKZmxvZS1hZ2VudAAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gt
ZWQyNTUxOQAAAECN2WHscZSUKDgL+7/VkctyLJgM6i4iCq3QNotMXZA1DxfWDXuVcm7+F0
R0lmPFMqaqYnZOcohaHg21Sf1Svb4D
-----END SSH SIGNATURE-----
`;
const SHA256 = `-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgvlUqHhPVap2Rgbww6xH/KXAJEl
PhIy5Q+biR9v7rjcQAAAAKZmxvZS1hZ2VudAAAAAAAAAAGc2hhMjU2AAAAUwAAAAtzc2gt
ZWQyNTUxOQAAAEDcjeQx6OxWnG+HBufwKc4iJsfCVzri4ShZpkOR6K5Q/V08Nt4jO0bcKs
lVVYopLmQC8cC6jPth5olBD+xt3mwH
-----END SSH SIGNATURE-----
`;
const KEY = canonicalKey(PUBLIC) ?? '';
const asked = { text: TEXT, namespace: 'floe-agent', publicKey: KEY };

describe('signatures of OpenSSH', () => {
  test.each([
    ['sha512', SHA512],
    ['sha256', SHA256],
    ['in CRLF', SHA512.replaceAll('\n', '\r\n')],
  ])('%s holds', (_name, armoured) => {
    expect(verifySshSignature(armoured, asked)).toBe(true);
  });

  test.each<[string, string, Partial<typeof asked>]>([
    ['another text', SHA512, { text: TEXT.replace('web-01', 'web-02') }],
    ['another namespace', SHA512, { namespace: 'git' }],
    ['another key', SHA512, { publicKey: machineKey().canonical }],
    ['no armour', SHA512.replaceAll('-----', ''), {}],
    ['cut', SHA512.replace('R0lmPFMqaqYnZOcohaHg21Sf1Svb4D\n', ''), {}],
    ['empty', '', {}],
    ['not base64', SHA512.replace('U1NIU0lH', 'U1NI!0lH'), {}],
    ['one bit off', SHA512.replace('Svb4D', 'Svb4C'), {}],
    ['hash renamed', SHA512.replace('c2hhNTEy', 'c2hhMjU2'), {}],
  ])('%s does not', (_name, armoured, over) => {
    expect(verifySshSignature(armoured, { ...asked, ...over })).toBe(false);
  });
});

test('any bytes in armour are no crash', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, withMagic) => {
      const body = Buffer.concat([withMagic ? Buffer.from('SSHSIG\0\0\0\x01') : Buffer.alloc(0), bytes]).toString(
        'base64',
      );
      const armoured = `-----BEGIN SSH SIGNATURE-----\n${body}\n-----END SSH SIGNATURE-----`;
      expect(verifySshSignature(armoured, asked)).toBe(false);
    }),
  );
});

test('a truncated signature is read as none', () => {
  const body = SHA512.replaceAll(/-----.*-----|\n/g, '');
  const blob = Buffer.from(body, 'base64');
  for (let length = 0; length < blob.length; length += 1) {
    const armoured = `-----BEGIN SSH SIGNATURE-----\n${blob.subarray(0, length).toString('base64')}\n-----END SSH SIGNATURE-----`;
    expect(parseSshSignature(armoured)).toBeUndefined();
  }
});

test('a key of 32 bytes that is no point of the curve fails cleanly', () => {
  const blob = Buffer.concat([Buffer.from(KEY, 'base64').subarray(0, 19), Buffer.alloc(32, 0xff)]);
  expect(verifySshSignature(SHA512, { ...asked, publicKey: blob.toString('base64') })).toBe(false);
});

test('the signer of the tests makes what the verifier takes, and ed25519 alone', () => {
  const { sign: signer, canonical } = machineKey();
  expect(verifySshSignature(signer('text'), { text: 'text', namespace: 'floe-agent', publicKey: canonical })).toBe(
    true,
  );
  const rsa: KeyObject = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  expect(sign('sha512', createHash('sha512').digest(), rsa).length).not.toBe(64);
});

test.each([
  [PUBLIC, true],
  [PUBLIC.replace(' web-01', ''), true],
  [` ${PUBLIC} with a longer comment`, true],
  ['ssh-rsa AAAAB3NzaC1yc2E=', false],
  ['ssh-ed25519', false],
  ['ssh-ed25519 AAAA', false],
  [PUBLIC.replace('ssh-ed25519 AAAAC3', 'ssh-ed25519 AAAAD3'), false],
  ['', false],
])('key %j is read: %j', (line, good) => {
  expect(canonicalKey(line)).toBe(good ? KEY : undefined);
});

test('the vector of the protocol page verifies', async () => {
  const file = join(import.meta.dirname, '../../../docs/spec/agent-protocol-samples.json');
  const { signature: vector } = JSON.parse(await readFile(file, 'utf8'));
  const publicKey = vector.publicKey.split(' ')[1];
  const { text } = vector;
  expect(verifySshSignature(vector.signature, { text, namespace: 'floe-agent', publicKey })).toBe(true);
  expect(verifySshSignature(vector.signature, { text: `${text}x`, namespace: 'floe-agent', publicKey })).toBe(false);
});
