// Limits how often one address may connect, so that a broken client can't keep the hub busy with handshakes.

/** Addresses that are remembered at most. */
const ADDRESSES = 10_000;

/** A token bucket per address. Generous: a proxy or a NAT may stand for a whole site. */
export class AddressLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor({ burst, perSecond }: { burst: number; perSecond: number }) {
    this.#burst = burst;
    this.#perSecond = perSecond;
  }

  /** Takes one connection of the address, if it may have one; `at` is monotonic, in seconds. */
  take(address: string, at: number): boolean {
    const bucket = this.#buckets.get(address) ?? { left: this.#burst, at };
    const left = Math.min(this.#burst, bucket.left + (at - bucket.at) * this.#perSecond);
    this.#buckets.delete(address);
    this.#buckets.set(address, { left: Math.max(0, left - 1), at });
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= ADDRESSES) break;
      this.#buckets.delete(oldest);
    }
    return left >= 1;
  }
}
