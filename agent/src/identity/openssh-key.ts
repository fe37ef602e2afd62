// Reads an SSH host key: unencrypted ed25519 in OpenSSH's own format (PROTOCOL.key).
import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { sshString, WireReader } from './wire.ts';

export type HostKey = {
  readonly privateKey: KeyObject;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKey: string;
  /** The public key in wire format. */
  readonly blob: Buffer;
};

export class HostKeyError extends Error {
  override readonly name = 'HostKeyError';
}

const TYPE = 'ssh-ed25519';
const MAGIC = 'openssh-key-v1\0';
const REMEDY = "Make one with: ssh-keygen -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key";
/** What stands before the 32 bytes of a seed in PKCS #8. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

function seedOf(bytes: Buffer): { seed: Buffer; point: Buffer } {
  const reader = new WireReader(bytes);
  if (reader.take(MAGIC.length).toString('latin1') !== MAGIC) throw new HostKeyError(`it is no OpenSSH key. ${REMEDY}`);
  const cipher = reader.string().toString();
  if (cipher !== 'none') throw new HostKeyError(`it is encrypted (${cipher}); a host key has no passphrase. ${REMEDY}`);
  reader.string();
  reader.string();
  if (reader.number() !== 1) throw new HostKeyError('it holds more than one key');
  reader.string();
  const secret = new WireReader(reader.string());
  const [check, again] = [secret.number(), secret.number()];
  if (check !== again) throw new HostKeyError('its check numbers differ: the file is damaged');
  const type = secret.string().toString();
  if (type !== TYPE) throw new HostKeyError(`it is of type ${type}; use an ed25519 key. ${REMEDY}`);
  const point = secret.string();
  const seedAndPoint = secret.string();
  return { seed: seedAndPoint.subarray(0, 32), point };
}

/** Parses the text of a private host key. Throws HostKeyError, which says what is wrong and what to do. */
export function parseHostKey(text: string): HostKey {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/.exec(
    text,
  )?.[1];
  if (body === undefined) throw new HostKeyError(`it is no private key in OpenSSH's format. ${REMEDY}`);
  try {
    const { seed, point } = seedOf(Buffer.from(body, 'base64'));
    const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
    const own = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '', 'base64url');
    if (!own.equals(point)) throw new HostKeyError('its halves do not belong together: the file is damaged');
    const blob = Buffer.concat([sshString(TYPE), sshString(point)]);
    return { privateKey, publicKey: `${TYPE} ${blob.toString('base64')}`, blob };
  } catch (error: unknown) {
    if (error instanceof HostKeyError) throw error;
    throw new HostKeyError(`it is damaged: ${error instanceof Error ? error.message : String(error)}. ${REMEDY}`);
  }
}
