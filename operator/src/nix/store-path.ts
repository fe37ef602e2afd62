// Parts of a store path: its folder, its hash part and its name.
import { isStorePath } from '@floe/crds/nix-fingerprint';

/** Where every store that Floe handles lies. */
export const STORE_DIR = '/nix/store';

/** The 32 characters that name a path in a binary cache; undefined when the text is no store path. */
export function hashPart(path: string): string | undefined {
  return isStorePath(path) ? path.slice(STORE_DIR.length + 1, STORE_DIR.length + 33) : undefined;
}

/** `/nix/store/<hash>-nginx-1.28.drv` -> `nginx-1.28`: what a person calls it. */
export function plainName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.replace(/^[0-9abcdfghijklmnpqrsvwxyz]{32}-/, '').replace(/\.drv$/, '');
}
