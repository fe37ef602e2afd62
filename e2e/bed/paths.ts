// Where the test bed keeps what it makes: artefacts shared by all clusters, and one folder per cluster.
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout's root. */
export const projectDir = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** `$FLOE_CACHE`, by default `~/.cache/floe`. */
export function cacheDir(): string {
  return process.env['FLOE_CACHE'] ?? join(homedir(), '.cache', 'floe');
}

/** A path below the cache. */
export function cached(...parts: readonly string[]): string {
  return join(cacheDir(), ...parts);
}

/** A path below `e2e/`. */
export function recipe(...parts: readonly string[]): string {
  return join(projectDir, 'e2e', ...parts);
}
