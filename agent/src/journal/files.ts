// The few file operations that the journal is made of, so that a test can take the power away between any two.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';

export interface Files {
  /** Content, or undefined where there is no such file. */
  read(path: string): Promise<Buffer | undefined>;
  /** Makes the file anew with this content, and waits until the disk has the content. */
  writeSynced(path: string, content: Buffer): Promise<void>;
  /** Puts one file in another's place; after a power cut either name may hold. */
  rename(from: string, to: string): Promise<void>;
  /** Waits until the disk has the folder's names. */
  syncFolder(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  remove(path: string): Promise<void>;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}

/** The real file system. */
export const diskFiles: Files = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error: unknown) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
  async writeSynced(path, content) {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename,
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  async remove(path) {
    await rm(path, { force: true });
  },
};
