// The folder that holds the cache: names, temporary files, and writes that are whole or not there at all.
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, opendir, rename, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const TEMPORARY = '.tmp';

/** A file that is being written; it becomes visible by `publish`, or goes by `discard`. */
export type TemporaryFile = {
  readonly path: string;
  readonly handle: FileHandle;
  /** Closes and removes it. Harmless after it was published. */
  discard(): Promise<void>;
};

/** A link counts as not there: the cache makes none, and one could lead anywhere. */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && MISSING.has(String(error.code));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** All names that come in have passed `parseAddress`. */
export class CacheDirectory {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  /** Opens the folder, makes what is missing and removes what an earlier process left half-written. */
  static async open(root: string): Promise<CacheDirectory> {
    await rm(join(root, TEMPORARY), { recursive: true, force: true });
    await mkdir(join(root, TEMPORARY), { recursive: true });
    return new CacheDirectory(root);
  }

  narinfoPath(namespace: string, hash: string): string {
    return join(this.root, namespace, `${hash}.narinfo`);
  }

  narPath(namespace: string, file: string): string {
    return join(this.root, namespace, 'nar', file);
  }

  /** Size in bytes of a file; undefined when it is not there. */
  async sizeOf(path: string): Promise<number | undefined> {
    try {
      const found = await lstat(path);
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Text of a small file; undefined when it is not there. */
  async text(path: string): Promise<string | undefined> {
    const opened = await this.openFile(path);
    if (opened === undefined) return undefined;
    try {
      return await opened.handle.readFile('utf8');
    } finally {
      await opened.handle.close();
    }
  }

  /** A file opened for reading with its size; undefined when it is not there. The caller closes it. */
  async openFile(path: string): Promise<{ handle: FileHandle; size: number; mtimeMs: number } | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const found = await handle.stat();
    if (found.isFile()) return { handle, size: found.size, mtimeMs: found.mtimeMs };
    await handle.close();
    return undefined;
  }

  async temporary(): Promise<TemporaryFile> {
    const path = join(this.root, TEMPORARY, randomUUID());
    const handle = await open(path, 'wx', 0o644);
    return {
      path,
      handle,
      discard: async () => {
        await handle.close().catch(() => undefined);
        await rm(path, { force: true });
      },
    };
  }

  /** Makes a written file visible under `target` for good, over whatever is there. */
  async publish(file: TemporaryFile, target: string): Promise<void> {
    await file.handle.sync();
    await mkdir(dirname(target), { recursive: true });
    await rename(file.path, target);
    await syncFolder(dirname(target));
  }

  /** As `publish`, but says false and changes nothing when `target` is there already, also for several processes. */
  async publishNew(file: TemporaryFile, target: string): Promise<boolean> {
    await file.handle.sync();
    await mkdir(dirname(target), { recursive: true });
    try {
      await link(file.path, target);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
    await syncFolder(dirname(target));
    return true;
  }

  /** Bytes that this process may still write to the disk. */
  async freeBytes(): Promise<number> {
    const found = await statfs(this.root);
    return found.bavail * found.bsize;
  }

  /** Sums up what lies there, without holding the event loop. */
  async scan(options: { signal: AbortSignal; found: (bytes: number) => void }): Promise<void> {
    const folders = [this.root];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for await (const entry of await opendir(folder)) {
        options.signal.throwIfAborted();
        const path = join(folder, entry.name);
        if (entry.isDirectory() && entry.name !== TEMPORARY) folders.push(path);
        else if (entry.isFile()) options.found((await this.sizeOf(path)) ?? 0);
      }
    }
  }
}
