// Nix' signing keys and signatures: Ed25519 in the form `<key name>:<base64>`.
import { Buffer } from 'node:buffer';
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';

/** A key pair as Nix' own `key generate-secret` and `key convert-secret-to-public` write it. */
export type NixKeyPair = { secret: string; public: string };

type Named = { name: string; bytes: Buffer };

function parseNamed(text: string, size: number): Named | undefined {
  const match = /^([^\s:;,]+):([A-Za-z0-9+/]+={0,2})$/.exec(text.trim());
  const name = match?.[1];
  const bytes = Buffer.from(match?.[2] ?? '', 'base64');
  return name === undefined || bytes.length !== size ? undefined : { name, bytes };
}

function publicKeyObject(bytes: Buffer): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') }, format: 'jwk' });
}

/** A key name that Nix can tell apart from the rest: no colon, no white space, not empty. */
export function isKeyName(name: string): boolean {
  return /^[^\s:;,]+$/.test(name);
}

/** Makes a new pair. Throws RangeError when the name holds a colon or white space. */
export function makeKeyPair(name: string): NixKeyPair {
  if (!isKeyName(name)) throw new RangeError(`"${name}" can't name a signing key: use letters, digits, "-" and "."`);
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const point = Buffer.from(jwk.x ?? '', 'base64url');
  return {
    secret: `${name}:${Buffer.concat([seed, point]).toString('base64')}`,
    public: `${name}:${point.toString('base64')}`,
  };
}

/** The public half of a secret key; undefined when the text is none, or its halves don't belong together. */
export function publicKeyOf(secret: string): string | undefined {
  const named = parseNamed(secret, 64);
  if (named === undefined) return undefined;
  const point = createPublicKey(secretKeyObject(named.bytes)).export({ format: 'jwk' }).x ?? '';
  const own = Buffer.from(point, 'base64url');
  return own.equals(named.bytes.subarray(32)) ? `${named.name}:${own.toString('base64')}` : undefined;
}

/** Whether the text is a public key, `name:base64` of 32 bytes. */
export function isPublicKey(text: string): boolean {
  return parseNamed(text, 32) !== undefined;
}

/** PKCS #8 of an Ed25519 seed: a JWK would need the public half to be right already. */
function secretKeyObject(bytes: Buffer): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([prefix, bytes.subarray(0, 32)]), format: 'der', type: 'pkcs8' });
}

/** Signature `name:base64` of a text (a fingerprint); undefined when the key is malformed. */
export function signText(text: string, secret: string): string | undefined {
  const named = parseNamed(secret, 64);
  if (named === undefined) return undefined;
  return `${named.name}:${sign(null, Buffer.from(text), secretKeyObject(named.bytes)).toString('base64')}`;
}

/**
 * The public key among `publicKeys` that made one of the signatures over the text; undefined when none did.
 * Malformed keys and signatures vouch for nothing.
 */
export function findSigner(
  text: string,
  signatures: readonly string[],
  publicKeys: readonly string[],
): string | undefined {
  return publicKeys.find((publicKey) => {
    const key = parseNamed(publicKey, 32);
    if (key === undefined) return false;
    return signatures.some((signature) => {
      const parsed = parseNamed(signature, 64);
      return parsed?.name === key.name && verify(null, Buffer.from(text), publicKeyObject(key.bytes), parsed.bytes);
    });
  });
}
