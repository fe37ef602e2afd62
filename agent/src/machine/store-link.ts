// Reads links into the Nix store, through chains of links that lie under another root.
import { readlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';

const CLOSURE = /^\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+/;
const MAX_LINKS = 16;

/** The store path that a path lies in; undefined where it lies in none. */
export function closureOf(path: string): string | undefined {
  return CLOSURE.exec(path)?.[0];
}

/**
 * Follows a link to the first store path; undefined where it ends elsewhere or nowhere. An absolute target outside
 * the store is tried as it is, then below the root: a profile that Nix wrote has real paths, a tree that was made
 * for another root has not.
 */
export async function readStoreLink(root: string, link: string): Promise<string | undefined> {
  let path = link;
  for (let count = 0; count < MAX_LINKS; count++) {
    const target = await readlink(path).catch(() => undefined);
    if (target === undefined) return undefined;
    const whole = isAbsolute(target) ? target : resolve(dirname(path), target);
    const closure = closureOf(whole);
    if (closure !== undefined) return closure;
    path = isAbsolute(target) && root !== '/' && !whole.startsWith(`${resolve(root)}/`) ? join(root, whole) : whole;
  }
  return undefined;
}
