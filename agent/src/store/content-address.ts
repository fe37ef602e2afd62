// Checks that a store path is named by its own content, so that its name alone vouches for it.

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { toNixBase32 } from '@floe/crds/nix-base32';
import { narinfoHash, sha256Bytes } from '@floe/crds/nix-fingerprint';
import type { PathInfo } from './path-info.ts';

/** Bytes of a hash in a store path: SHA-256 folded by exclusive or. */
const PATH_HASH_BYTES = 20;

function storePath(type: string, hash: string, name: string): string {
  const digest = createHash('sha256').update(`${type}:${hash}:/nix/store:${name}`).digest();
  const folded = new Uint8Array(PATH_HASH_BYTES);
  digest.forEach((byte, index) => {
    folded[index % PATH_HASH_BYTES] = (folded[index % PATH_HASH_BYTES] ?? 0) ^ byte;
  });
  return `/nix/store/${toNixBase32(folded)}-${name}`;
}

/**
 * Whether the path was added by the hash of its own NAR (`fixed:r:sha256`, what `./file` in a configuration
 * becomes) and its name follows from it. Other content addresses cover something else than the NAR that the store
 * recorded, so they vouch for nothing here.
 */
export function isContentAddressed(info: PathInfo): boolean {
  const hash = /^fixed:r:(sha256:.+)$/.exec(info.ca ?? '')?.[1];
  const name = /^\/nix\/store\/.{32}-(.+)$/.exec(info.path)?.[1];
  if (hash === undefined || name === undefined) return false;
  const narHash = narinfoHash(info.narHash);
  // A path that refers to itself is hashed with its own name blanked out, which is not the hash of its NAR.
  if (narHash === undefined || narinfoHash(hash) !== narHash || info.references.includes(info.path)) return false;
  const references = [...info.references].sort().map((path) => `:${path}`);
  const hex = Buffer.from(sha256Bytes(narHash) ?? []).toString('hex');
  return storePath(`source${references.join('')}`, `sha256:${hex}`, name) === info.path;
}
