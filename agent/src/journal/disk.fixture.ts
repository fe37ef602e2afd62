// A disk that keeps only what was synced, for tests: the power may go at any of its operations.
import type { Buffer } from 'node:buffer';
import { dirname } from 'node:path';
import type { Files } from './files.ts';

/** The power went in the middle of an operation. */
export class DiskCutError extends Error {}

/** A disk that keeps names only once their folder is synced, and loses the power at a chosen operation. */
export class Disk implements Files {
  /** What a reader sees. */
  names = new Map<string, Buffer>();
  /** Names as the disk has them: a power cut goes back to these, or keeps any of the newer ones. */
  #synced = new Map<string, Buffer>();
  operations = 0;
  cutAt = Number.POSITIVE_INFINITY;

  #operate(): void {
    this.operations += 1;
    if (this.operations >= this.cutAt) throw new DiskCutError();
  }

  /** After a power cut: names written since may have reached the disk or not; `survives` decides for each. */
  reboot(survives: (path: string) => boolean): void {
    const paths = new Set([...this.names.keys(), ...this.#synced.keys()]);
    for (const path of paths) {
      if (survives(path)) continue;
      const old = this.#synced.get(path);
      if (old === undefined) this.names.delete(path);
      else this.names.set(path, old);
    }
    this.#synced = new Map(this.names);
    this.cutAt = Number.POSITIVE_INFINITY;
  }

  async read(path: string): Promise<Buffer | undefined> {
    return this.names.get(path);
  }

  async writeSynced(path: string, content: Buffer): Promise<void> {
    // Cut in the middle of the write: half of it is there.
    this.names.set(path, content.subarray(0, Math.floor(content.length / 2)));
    this.#operate();
    this.names.set(path, content);
    this.#operate();
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operate();
    const content = this.names.get(from);
    if (content === undefined) throw new Error(`no ${from}`);
    this.names.set(to, content);
    this.names.delete(from);
    this.#operate();
  }

  async syncFolder(path: string): Promise<void> {
    this.#operate();
    this.#synced = new Map([...this.names].filter(([name]) => dirname(name) === path));
    this.#operate();
  }

  async makeFolder(): Promise<void> {}

  async remove(path: string): Promise<void> {
    this.names.delete(path);
  }
}
