// The folder of secrets, in memory only: files appear whole, with owner and mode, or not at all.
import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/** Who a file belongs to, and who may read it. */
export type Access = { readonly uid: number; readonly gid: number; readonly mode: number };

export type StoredSecret = { readonly content: Buffer; readonly access: Access };

export interface SecretFiles {
  /** Makes the folder, and removes what a crash left half-written. Rejects where it would not lie in memory. */
  prepare(): Promise<void>;
  /** Names of the secrets that are there. */
  names(): Promise<readonly string[]>;
  read(name: string): Promise<StoredSecret | undefined>;
  write(name: string, content: Buffer, access: Access): Promise<void>;
  remove(name: string): Promise<void>;
  /** Notes of the agent itself in that folder, with a dot before their name; they go with the boot, as the secrets do. */
  note(name: string, text: string | undefined): Promise<void>;
  readNote(name: string): Promise<string | undefined>;
}

/** `f_type` of tmpfs and ramfs, statfs(2). */
const IN_MEMORY = [0x01021994, 0x858458f6];
const FOLDER_MODE = 0o751;

export class SecretFolder implements SecretFiles {
  readonly #folder: string;
  readonly #mustBeInMemory: boolean;

  constructor(folder: string, { mustBeInMemory }: { mustBeInMemory: boolean }) {
    this.#folder = folder;
    this.#mustBeInMemory = mustBeInMemory;
  }

  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE });
    await chmod(this.#folder, FOLDER_MODE);
    if (this.#mustBeInMemory) {
      const { type } = await statfs(this.#folder);
      if (!IN_MEMORY.includes(type)) {
        throw new Error(`${this.#folder} is not in memory; secrets are never written to a disk. Mount a tmpfs on /run`);
      }
    }
    for (const left of (await readdir(this.#folder)).filter((name) => name.startsWith('.new-'))) {
      await rm(join(this.#folder, left), { force: true });
    }
  }

  async names(): Promise<readonly string[]> {
    const all = await readdir(this.#folder, { withFileTypes: true });
    return all.filter((one) => !one.isDirectory() && !one.name.startsWith('.')).map(({ name }) => name);
  }

  async read(name: string): Promise<StoredSecret | undefined> {
    const path = join(this.#folder, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true) return undefined;
    return { content: await readFile(path), access: { uid: found.uid, gid: found.gid, mode: found.mode & 0o777 } };
  }

  async write(name: string, content: Buffer, { uid, gid, mode }: Access): Promise<void> {
    const temporary = join(this.#folder, `.new-${name}`);
    await rm(temporary, { force: true });
    const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;
    const file = await open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
    try {
      // The content comes last: nobody reads it who may not.
      await file.chown(uid, gid);
      await file.chmod(mode);
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    await rename(temporary, join(this.#folder, name)).catch(async (error: unknown) => {
      await rm(temporary, { force: true });
      throw error;
    });
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, name), { force: true });
  }

  async note(name: string, text: string | undefined): Promise<void> {
    if (text === undefined) await rm(join(this.#folder, `.${name}`), { force: true });
    else
      await this.write(`.${name}`, Buffer.from(text), {
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
        mode: 0o600,
      });
  }

  async readNote(name: string): Promise<string | undefined> {
    return readFile(join(this.#folder, `.${name}`), 'utf8').catch(() => undefined);
  }
}
