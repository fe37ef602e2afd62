// Checks that every path of a closure is signed by a trusted key: the agent's own check, whatever Nix thinks of a path.
import { fingerprint } from '@floe/crds/nix-fingerprint';
import { findSigner } from '@floe/crds/nix-key';
import { isContentAddressed } from './content-address.ts';
import type { PathInfo } from './path-info.ts';

/** A path that is not to be trusted, and why. */
export type Distrusted = { readonly path: string; readonly reason: string };

function distrust(info: PathInfo, trustedKeys: readonly string[]): string | undefined {
  const text = fingerprint(info);
  if (text === undefined) return 'its record in the store is malformed';
  if (findSigner(text, info.signatures, trustedKeys) !== undefined) return undefined;
  // Its name vouches for its content, and the signature of whoever refers to it for its name.
  if (isContentAddressed(info)) return undefined;
  if (info.signatures.length === 0) return 'it has no signature';
  const names = [...new Set(info.signatures.map((signature) => signature.split(':', 1)[0]))].join(', ');
  const known = trustedKeys.some((key) => info.signatures.some((one) => one.split(':', 1)[0] === key.split(':', 1)[0]));
  if (known) return `its signature by ${names} is not for these contents`;
  return `it is signed by ${names}, and none of them is trusted here`;
}

/** The system itself, what it refers to aside, where no trusted key vouches for it; content-addressed or not. */
export function distrustedSystem(
  closure: string,
  infos: readonly PathInfo[],
  trustedKeys: readonly string[],
): Distrusted[] {
  const info = infos.find(({ path }) => path === closure);
  if (info === undefined) return [{ path: closure, reason: 'the store has no record of it' }];
  const reason = distrust({ ...info, ca: '' }, trustedKeys);
  return reason === undefined ? [] : [{ path: closure, reason }];
}

/**
 * The paths of the closure that no trusted key vouches for. The walk starts at the closure itself, so a list that
 * lacks a path is not taken for a smaller closure. Content-addressed paths vouch for themselves, the closure itself
 * excepted: anyone could name one.
 */
export function distrustedPaths(
  closure: string,
  infos: readonly PathInfo[],
  trustedKeys: readonly string[],
): Distrusted[] {
  const byPath = new Map(infos.map((info) => [info.path, info]));
  const found: Distrusted[] = [];
  const seen = new Set<string>([closure]);
  const queue = [closure];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const info = byPath.get(path);
    if (info === undefined) {
      found.push({ path, reason: 'the store has no record of it' });
      continue;
    }
    const reason = distrust(path === closure ? { ...info, ca: '' } : info, trustedKeys);
    if (reason !== undefined) found.push({ path, reason });
    for (const reference of info.references) {
      if (seen.has(reference)) continue;
      seen.add(reference);
      queue.push(reference);
    }
  }
  return found;
}
