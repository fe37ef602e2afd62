// The lock file of the wrapper: what a build locked, and what a later build of the same revision takes over.
import { readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_LOCK_LENGTH } from '@floe/crds/constants';
import { parseJson } from '@floe/crds/json';
import { withoutSecrets } from '../nix/error-words.ts';

const FILE = 'flake.lock';

/** Puts the lock of an earlier build beside the wrapper's flake.nix, with a fixed time like all its files. */
export async function writeLock(wrapper: string, lock: string): Promise<void> {
  await writeFile(join(wrapper, FILE), lock);
  await utimes(join(wrapper, FILE), 1, 1);
}

/** The lock file as Nix wrote it; empty where a flake without inputs left none. */
export async function readLock(wrapper: string): Promise<string> {
  try {
    return await readFile(join(wrapper, FILE), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * The lock as a record keeps it: JSON without blanks. Undefined where it is none, is too large, or where an address in
 * it holds a password, which would then stand in an object that many may read.
 */
export function keptLock(text: string): string | undefined {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const { nodes, root, version } = value as Record<string, unknown>;
  if (typeof nodes !== 'object' || nodes === null || typeof root !== 'string' || typeof version !== 'number') {
    return undefined;
  }
  const compact = JSON.stringify(value);
  return compact.length > MAX_LOCK_LENGTH || withoutSecrets(compact) !== compact ? undefined : compact;
}
