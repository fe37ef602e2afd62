// The text that a signature of a store path covers, and the forms in which Nix writes a hash.
import { Buffer } from 'node:buffer';
import { fromNixBase32, toNixBase32 } from './nix-base32.ts';

/** What a signature vouches for. */
export type SignedFacts = {
  /** `/nix/store/<hash>-<name>`. */
  path: string;
  /** SHA-256 of the NAR in any form that Nix writes: `sha256:<base32>`, `sha256:<hex>` or `sha256-<base64>`. */
  narHash: string;
  /** Bytes of the NAR. */
  narSize: number;
  /** Full store paths, in any order. */
  references: readonly string[];
};

const STORE_PATH = /^\/nix\/store\/[0-9abcdfghijklmnpqrsvwxyz]{32}-[0-9A-Za-z+\-._?=]{1,211}$/;

/** Whether the text is a whole store path, and nothing below one. */
export function isStorePath(text: string): boolean {
  return STORE_PATH.test(text);
}

/** The 32 bytes of a SHA-256 in any of Nix' forms; undefined for everything else. */
export function sha256Bytes(text: string): Uint8Array | undefined {
  const match = /^sha256([:-])(.+)$/.exec(text);
  const digits = match?.[2] ?? '';
  if (match?.[1] === ':' && digits.length === 52) return fromNixBase32(digits, 32);
  if (match?.[1] === ':' && /^[0-9a-f]{64}$/.test(digits)) return new Uint8Array(Buffer.from(digits, 'hex'));
  if (match === null || !/^[A-Za-z0-9+/]{43}=$/.test(digits)) return undefined;
  return new Uint8Array(Buffer.from(digits, 'base64'));
}

/** One hash in the form of narinfo and fingerprint, `sha256:<base32>`; undefined when it is no SHA-256. */
export function narinfoHash(text: string): string | undefined {
  const bytes = sha256Bytes(text);
  return bytes === undefined ? undefined : `sha256:${toNixBase32(bytes)}`;
}

/**
 * `1;<path>;<hash>;<size>;<references, sorted, by comma>`: the bytes that Nix signs. Undefined when a fact is
 * malformed, because a semicolon or comma in a field would let one signature vouch for other facts.
 */
export function fingerprint(facts: SignedFacts): string | undefined {
  const hash = narinfoHash(facts.narHash);
  if (hash === undefined || !Number.isSafeInteger(facts.narSize) || facts.narSize < 0) return undefined;
  if (![facts.path, ...facts.references].every(isStorePath)) return undefined;
  const references = [...new Set(facts.references)].sort();
  return `1;${facts.path};${hash};${facts.narSize};${references.join(',')}`;
}
