// One at a time for each key, in the order of asking: Rollouts that share budgets are planned and told after each other.

/** Turns by key. A key that nobody waits for takes no memory. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Runs `work` when everyone who asked for the key before is done; throws the reason of `signal` if that ends first. */
  async take<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = Promise.withResolvers<void>();
    // Who gives up waiting passes the turn on only once it comes.
    const mine = (before ?? Promise.resolve()).then(() => turn.promise);
    this.#last.set(key, mine);
    void mine.then(() => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    });
    try {
      if (before !== undefined) await arrival(before, signal);
      signal.throwIfAborted();
      return await work();
    } finally {
      turn.resolve();
    }
  }
}

/** Waits until `before` is done, or throws when `signal` ends. */
async function arrival(before: Promise<void>, signal: AbortSignal): Promise<void> {
  const given = Promise.withResolvers<void>();
  const end = () => given.reject(signal.reason);
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  try {
    await Promise.race([before, given.promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
