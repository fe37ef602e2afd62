// Verifies SSH signatures (PROTOCOL.sshsig of OpenSSH) made by ed25519 keys.
import { createHash, createPublicKey, verify } from 'node:crypto';

const MAGIC = 'SSHSIG';
const VERSION = 1;
const KEY_TYPE = 'ssh-ed25519';
const BEGIN = '-----BEGIN SSH SIGNATURE-----';
const END = '-----END SSH SIGNATURE-----';
const HASHES = new Set(['sha256', 'sha512']);

/** What an armoured signature says of itself. */
export type SshSignature = {
  /** Public key in wire form, as base64. */
  readonly publicKey: string;
  readonly namespace: string;
  readonly hash: string;
  /** 64 bytes. */
  readonly signature: Buffer;
};

/** Reads an armoured signature; undefined where it is none of an ed25519 key. */
export function parseSshSignature(armoured: string): SshSignature | undefined {
  const text = armoured.trim();
  if (!text.startsWith(BEGIN) || !text.endsWith(END)) return undefined;
  const body = text.slice(BEGIN.length, -END.length).replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) return undefined;
  const reader = new WireReader(Buffer.from(body, 'base64'));
  if (reader.bytes(MAGIC.length)?.toString('latin1') !== MAGIC || reader.uint32() !== VERSION) return undefined;
  const publicKey = reader.string();
  const namespace = reader.string()?.toString('utf8');
  const reserved = reader.string();
  const hash = reader.string()?.toString('latin1');
  const signature = ed25519Signature(reader.string());
  if (publicKey === undefined || reserved === undefined || signature === undefined || !reader.atEnd) return undefined;
  if (namespace === undefined || hash === undefined || !HASHES.has(hash)) return undefined;
  return { publicKey: publicKey.toString('base64'), namespace, hash, signature };
}

/** The raw signature inside the blob `string type, string signature`. */
function ed25519Signature(blob: Buffer | undefined): Buffer | undefined {
  if (blob === undefined) return undefined;
  const reader = new WireReader(blob);
  if (reader.string()?.toString('latin1') !== KEY_TYPE) return undefined;
  const signature = reader.string();
  return signature?.length === 64 && reader.atEnd ? signature : undefined;
}

/**
 * Whether `armoured` is a signature over `text`, made in `namespace` by the key `publicKey` (wire form, canonical
 * base64). Whatever else the signature says, only that key counts.
 */
export function verifySshSignature(
  armoured: string,
  { text, namespace, publicKey }: { text: string; namespace: string; publicKey: string },
): boolean {
  const parsed = parseSshSignature(armoured);
  if (parsed === undefined || parsed.namespace !== namespace || parsed.publicKey !== publicKey) return false;
  const digest = createHash(parsed.hash).update(text, 'utf8').digest();
  const signed = Buffer.concat([
    Buffer.from(MAGIC, 'latin1'),
    wireString(Buffer.from(namespace, 'utf8')),
    wireString(Buffer.alloc(0)),
    wireString(Buffer.from(parsed.hash, 'latin1')),
    wireString(digest),
  ]);
  const x = Buffer.from(publicKey, 'base64').subarray(-32).toString('base64url');
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    return verify(null, signed, key, parsed.signature);
  } catch {
    // 32 bytes that are no point of the curve.
    return false;
  }
}

/** A string of SSH's wire format: its length in four bytes, then its bytes. */
function wireString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Reads SSH's wire format; every read past the end is undefined. */
class WireReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get atEnd(): boolean {
    return this.#at === this.#data.length;
  }

  bytes(count: number): Buffer | undefined {
    if (this.#at + count > this.#data.length) return undefined;
    this.#at += count;
    return this.#data.subarray(this.#at - count, this.#at);
  }

  uint32(): number | undefined {
    return this.bytes(4)?.readUInt32BE(0);
  }

  string(): Buffer | undefined {
    const length = this.uint32();
    return length === undefined ? undefined : this.bytes(length);
  }
}
