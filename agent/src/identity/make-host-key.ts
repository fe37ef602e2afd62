// Makes a host key in memory, for simulated machines: real ones have theirs from SSH.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import type { HostKey } from './openssh-key.ts';
import { sshString } from './wire.ts';

/** A new ed25519 key. */
export function makeHostKey(): HostKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const point = Buffer.from(privateKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const blob = Buffer.concat([sshString('ssh-ed25519'), sshString(point)]);
  return { privateKey, blob, publicKey: `ssh-ed25519 ${blob.toString('base64')}` };
}
