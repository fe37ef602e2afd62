// Remembers for a while what has just happened, so that it is said once and not a thousand times.

/** A bounded memory of keys; the oldest is forgotten first. */
export class Recently {
  readonly #seconds: number;
  readonly #limit: number;
  readonly #seen = new Map<string, number>();

  /** A key counts as new again after `seconds`; at most `limit` keys are kept. */
  constructor({ seconds, limit }: { seconds: number; limit: number }) {
    this.#seconds = seconds;
    this.#limit = limit;
  }

  /** Whether the key was not seen of late; `at` is monotonic, in seconds. */
  isNew(key: string, at: number): boolean {
    const last = this.#seen.get(key);
    if (last !== undefined && at - last < this.#seconds) return false;
    this.#seen.delete(key);
    this.#seen.set(key, at);
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= this.#limit) break;
      this.#seen.delete(oldest);
    }
    return true;
  }
}
