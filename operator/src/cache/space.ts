// Keeps the cache below its limit: what is stored, what running uploads have been promised, what the disk has left.
import { comparedBytes } from '../conditions/spoken.ts';

/** Room for an upload, or why there is none. The message is shown to the person whose build fails. */
export type Room = { kind: 'granted'; release: (stored: number) => void } | { kind: 'full'; message: string };

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

  /** Promises room for `bytes`; `release` ends the promise and counts what was stored in the end. */
  async reserve(bytes: number): Promise<Room> {
    const { maxBytes, minFreeBytes } = this.#limits;
    const free = await this.#freeBytes();
    // From here to the promise nothing waits, so two uploads can't be promised the same room.
    const after = this.#stored + this.#promised + bytes;
    if (maxBytes > 0 && after > maxBytes) {
      return full(
        `it holds ${comparedBytes(this.#stored)} of ${comparedBytes(maxBytes)} and ${comparedBytes(bytes)} more were sent`,
      );
    }
    if (free - this.#promised - bytes < minFreeBytes) {
      return full(`its disk has ${comparedBytes(free)} left, of which ${comparedBytes(minFreeBytes)} stay free`);
    }
    this.#promised += bytes;
    let open = true;
    return {
      kind: 'granted',
      release: (stored) => {
        if (!open) return;
        open = false;
        this.#promised -= bytes;
        this.#stored += stored;
      },
    };
  }
}

function full(why: string): Room {
  return { kind: 'full', message: `the cache is full: ${why}; give the cache a larger volume or a higher --max-size` };
}
