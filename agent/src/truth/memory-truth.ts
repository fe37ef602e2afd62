// The truth in memory, for simulated agents and tests.
import type { TruthStore } from './keeper.ts';
import type { Truth } from './truth.ts';

export class MemoryTruth implements TruthStore {
  stored: { truth: Truth; seen?: string } | undefined;
  releaseAsked = false;

  async load(): Promise<{ truth: Truth; seen?: string } | undefined> {
    return this.stored;
  }

  async save(truth: Truth, seen: string | undefined): Promise<void> {
    this.stored = { truth, ...(seen === undefined ? {} : { seen }) };
  }

  async isReleaseAsked(): Promise<boolean> {
    return this.releaseAsked;
  }

  async forgetRelease(): Promise<void> {
    this.releaseAsked = false;
  }
}
