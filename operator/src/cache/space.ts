// Keeps the cache below its limit: what is stored, what running uploads have been promised, what the disk has left.
import { comparedBytes } from '../conditions/spoken.ts';

/** Room for an upload, or why there is none. The message is shown to the person whose build fails. */
export type Room =
  | {
      kind: 'granted';
      /** Room for so many bytes in all, before they are written; a sentence where there is none. */
      grow: (bytes: number) => Promise<string | undefined>;
      /** Ends the promise and counts what was stored in the end. */
      release: (stored: number) => void;
    }
  | { kind: 'full'; message: string };

/** Room is promised in steps as an upload comes in: what is only announced keeps no other upload out. */
const STEP_BYTES = 32 << 20;

export type SpaceLimits = {
  /** Bytes that the cache may hold; 0: no limit. */
  readonly maxBytes: number;
  /** Bytes that must stay free on the disk. */
  readonly minFreeBytes: number;
};

/** Counts bytes. `freeBytes` asks the file system, in bytes that this process may use. */
export class Space {
  readonly #limits: SpaceLimits;
  readonly #freeBytes: () => Promise<number>;
  #stored = 0;
  #promised = 0;

  constructor(limits: SpaceLimits, freeBytes: () => Promise<number>) {
    this.#limits = limits;
    this.#freeBytes = freeBytes;
  }

  /** Bytes that lie in the cache. */
  get stored(): number {
    return this.#stored;
  }

  /** Bytes that uploads may still bring, beside those that were promised room already. */
  async left(): Promise<number> {
    const { maxBytes, minFreeBytes } = this.#limits;
    const onDisk = (await this.#freeBytes()) - minFreeBytes;
    const byLimit = maxBytes > 0 ? maxBytes - this.#stored : onDisk;
    return Math.max(0, Math.min(onDisk, byLimit) - this.#promised);
  }

  /** Adds what was found or written. */
  add(bytes: number): void {
    this.#stored += bytes;
  }

  /** Promises room for the beginning of an upload of `bytes`, where all of it would have room now. */
  async reserve(bytes: number): Promise<Room> {
    let promised = 0;
    const claim = async (total: number): Promise<string | undefined> => {
      if (total <= promised) return undefined;
      const free = await this.#freeBytes();
      // From here to the promise nothing waits, so two uploads can't be promised the same room.
      const why = this.#lacking(total - promised, free);
      if (why !== undefined) return why;
      this.#promised += total - promised;
      promised = total;
      return undefined;
    };
    const all = this.#lacking(bytes, await this.#freeBytes());
    const why = all ?? (await claim(Math.min(bytes, STEP_BYTES)));
    if (why !== undefined) return { kind: 'full', message: why };
    let open = true;
    return {
      kind: 'granted',
      grow: async (total) => claim(Math.min(bytes, Math.ceil(total / STEP_BYTES) * STEP_BYTES)),
      release: (stored) => {
        if (!open) return;
        open = false;
        this.#promised -= promised;
        this.#stored += stored;
      },
    };
  }

  #lacking(more: number, free: number): string | undefined {
    const { maxBytes, minFreeBytes } = this.#limits;
    if (maxBytes > 0 && this.#stored + this.#promised + more > maxBytes) {
      return full(
        `it holds ${comparedBytes(this.#stored)} of ${comparedBytes(maxBytes)} and ${comparedBytes(more)} more were sent`,
      );
    }
    if (free - this.#promised - more < minFreeBytes) {
      return full(`its disk has ${comparedBytes(free)} left, of which ${comparedBytes(minFreeBytes)} stay free`);
    }
    return undefined;
  }
}

function full(why: string): string {
  return `the cache is full: ${why}; give the cache a larger volume or a higher --max-size`;
}
