// Limits how often one peer may ask for something, so that a broken or hostile one keeps nobody else from it.

/** Keys that are remembered at most; the one that asked longest ago is forgotten first. */
const KEYS = 10_000;

/** A token bucket per key, an address for instance. */
export class RateLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** `burst` at once, and `perSecond` in the long run. */
  constructor({ burst, perSecond }: { burst: number; perSecond: number }) {
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  /** Whether the key has one left; takes none. `at` is monotonic, in seconds. */
  has(key: string, at: number): boolean {
    return this.#left(key, at) >= 1;
  }

  /** Takes one, if the key has one left; `at` is monotonic, in seconds. */
  take(key: string, at: number): boolean {
    const left = this.#left(key, at);
    this.#buckets.delete(key);
    this.#buckets.set(key, { left: Math.max(0, left - 1), at });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= KEYS) break;
      this.#buckets.delete(oldest);
    }
    return left >= 1;
  }

  #left(key: string, at: number): number {
    const bucket = this.#buckets.get(key) ?? { left: this.#burst, at };
    return Math.min(this.#burst, bucket.left + (at - bucket.at) * this.#perSecond);
  }
}
