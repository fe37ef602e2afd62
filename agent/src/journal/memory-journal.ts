// A journal and a lock in memory, for simulated machines and tests.
import { EMPTY_JOURNAL, type Journal, type Loaded } from './journal.ts';
import type { JournalStore, TakeLock } from './ledger.ts';
import type { Held } from './lock.ts';

export class MemoryJournal implements JournalStore {
  journal: Journal = EMPTY_JOURNAL;

  async load(): Promise<Loaded> {
    return { journal: this.journal };
  }

  async save(journal: Journal): Promise<void> {
    this.journal = journal;
  }
}

/** A lock within this process. */
export function memoryLock(): TakeLock {
  let last: Promise<unknown> = Promise.resolve();
  return async (signal) => {
    const before = last;
    let release: () => void = () => undefined;
    last = new Promise<void>((resolve) => {
      release = resolve;
    });
    await before;
    if (signal.aborted) {
      release();
      throw signal.reason;
    }
    const held: Held = { release };
    return held;
  };
}
