// The journal as one of several processes uses it: written under the lock only, and never over what another wrote meanwhile.
import type { AttemptRecord } from '../attempt/record.ts';
import { EMPTY_JOURNAL, type Journal, type Loaded, withAttempt } from './journal.ts';
import type { Held } from './lock.ts';

export interface JournalStore {
  load(): Promise<Loaded>;
  save(journal: Journal): Promise<void>;
}

/** Waits for the lock that guards machine and journal. */
export type TakeLock = (signal: AbortSignal) => Promise<Held>;

/** Another process wrote the journal since it was read: read it, and decide again. */
export class StaleJournalError extends Error {
  override readonly name = 'StaleJournalError';
}

export class Ledger {
  readonly #store: JournalStore;
  readonly #takeLock: TakeLock;
  #held: Held | undefined;
  #known: Journal = EMPTY_JOURNAL;
  #damage: string | undefined;

  constructor(store: JournalStore, takeLock: TakeLock) {
    this.#store = store;
    this.#takeLock = takeLock;
  }

  /** The journal as it was read or written last. */
  get journal(): Journal {
    return this.#known;
  }

  /** What was wrong with the journal on disk when it was read last. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /** Reads the journal from disk. */
  async refresh(): Promise<Journal> {
    const { journal, damage } = await this.#store.load();
    this.#known = journal;
    this.#damage = damage;
    return journal;
  }

  /** The journal on disk, without taking it for known: what is written next must still be checked against it. */
  async peek(): Promise<Journal> {
    return (await this.#store.load()).journal;
  }

  /** Takes the lock and reads the journal; from now on nobody else writes it. */
  async hold(signal: AbortSignal): Promise<Journal> {
    this.#held ??= await this.#takeLock(signal);
    return this.refresh();
  }

  release(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** Stores that orders up to this sequence were accepted. Takes the lock where it is not held. */
  async accept(sequence: number, signal: AbortSignal): Promise<void> {
    await this.hold(signal);
    if (sequence <= this.#known.sequence) return;
    const journal = { ...this.#known, sequence };
    await this.#store.save(journal);
    this.#known = journal;
  }

  /** Forgets the highest sequence, so that the next order is accepted whatever its number. Returns what it was. */
  async forgetSequence(signal: AbortSignal): Promise<number> {
    const before = (await this.hold(signal)).sequence;
    this.#known = { ...this.#known, sequence: 0 };
    await this.#store.save(this.#known);
    return before;
  }

  /**
   * Stores the record as the attempt in hand. Takes the lock where it is not held, and throws StaleJournalError if
   * the journal has changed by then.
   */
  async write(record: AttemptRecord, signal: AbortSignal): Promise<void> {
    if (this.#held === undefined) {
      const before = JSON.stringify(this.#known);
      if (JSON.stringify(await this.hold(signal)) !== before) {
        throw new StaleJournalError(`another process wrote the journal while attempt ${record.order.id} waited`);
      }
    }
    const journal = withAttempt(this.#known, record);
    await this.#store.save(journal);
    this.#known = journal;
  }
}
