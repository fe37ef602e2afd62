// The file beside the journal in which the truth is kept, and the one by which `floe-agent release` is heard.
import { Buffer } from 'node:buffer';
import { join } from 'node:path';
import type { Files } from '../journal/files.ts';
import type { TruthStore } from './keeper.ts';
import { NO_TRUTH, type Truth } from './truth.ts';

const FORMAT = 1;

type Stored = { readonly format: number; readonly seen?: string; readonly truth: Truth };

/** A file that can't be read counts as none: what was kept is learned from the journal and the next order again. */
export class TruthFile implements TruthStore {
  readonly #files: Files;
  readonly #folder: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  async load(): Promise<{ truth: Truth; seen?: string } | undefined> {
    const text = (await this.#files.read(this.#path))?.toString('utf8');
    if (text === undefined) return undefined;
    try {
      const { format, truth, seen } = JSON.parse(text) as Stored;
      if (format !== FORMAT || !Array.isArray(truth.sent)) return undefined;
      return { truth: { ...NO_TRUTH, ...truth }, ...(seen === undefined ? {} : { seen }) };
    } catch {
      return undefined;
    }
  }

  async save(truth: Truth, seen: string | undefined): Promise<void> {
    const stored: Stored = { format: FORMAT, ...(seen === undefined ? {} : { seen }), truth };
    await this.#files.makeFolder(this.#folder);
    await this.#files.writeSynced(`${this.#path}.new`, Buffer.from(`${JSON.stringify(stored)}\n`));
    await this.#files.rename(`${this.#path}.new`, this.#path);
    await this.#files.syncFolder(this.#folder);
  }

  async isReleaseAsked(): Promise<boolean> {
    return (await this.#files.read(this.#release)) !== undefined;
  }

  async forgetRelease(): Promise<void> {
    await this.#files.remove(this.#release);
  }

  /** Asks the agent to end the hold. */
  async askRelease(): Promise<void> {
    await this.#files.makeFolder(this.#folder);
    await this.#files.writeSynced(this.#release, Buffer.from('released\n'));
    await this.#files.syncFolder(this.#folder);
  }

  get #path(): string {
    return join(this.#folder, 'truth.json');
  }

  get #release(): string {
    return join(this.#folder, 'release');
  }
}
