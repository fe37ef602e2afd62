// Signs a text as `ssh-keygen -Y sign` does (PROTOCOL.sshsig of OpenSSH), so that anyone can verify it with OpenSSH.
import { Buffer } from 'node:buffer';
import { createHash, sign } from 'node:crypto';
import type { HostKey } from './openssh-key.ts';
import { sshString } from './wire.ts';

const MAGIC = Buffer.from('SSHSIG');
const HASH = 'sha512';
const LINE = 70;

/** The armoured signature over the text, for one purpose (`namespace`). */
export function sshSign(key: HostKey, namespace: string, text: string): string {
  const digest = createHash(HASH).update(text).digest();
  const common = [sshString(namespace), sshString(''), sshString(HASH)];
  const raw = sign(null, Buffer.concat([MAGIC, ...common, sshString(digest)]), key.privateKey);
  const signature = Buffer.concat([sshString('ssh-ed25519'), sshString(raw)]);
  const version = Buffer.from([0, 0, 0, 1]);
  const blob = Buffer.concat([MAGIC, version, sshString(key.blob), ...common, sshString(signature)]).toString('base64');
  const lines = blob.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join('\n');
}
