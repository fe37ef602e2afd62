// Reads the flake.lock of a source that was fetched, before anything that it names is.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** Some thousands of inputs. */
const MAX_BYTES = 4 << 20;

/** Text of the lock in that folder; undefined where there is none, or what stands there is no file of a sensible size. */
export async function sourceLock(folder: string): Promise<string | undefined> {
  try {
    // The source is a stranger's: a link in it could lead anywhere.
    const handle = await open(
      join(folder, 'flake.lock'),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const found = await handle.stat();
      return found.isFile() && found.size <= MAX_BYTES ? await handle.readFile('utf8') : undefined;
    } finally {
      await handle.close();
    }
  } catch {
    return undefined;
  }
}
