// Bounds how many uploads run at once; the others wait in line, for a limited time.

/** Hands out a fixed number of slots, first come first served. */
export class Slots {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Waits for a slot; returns its release, or undefined when none came free in time. Rejects when `signal` aborts. */
  async take(options: { waitSeconds: number; signal: AbortSignal }): Promise<(() => void) | undefined> {
    options.signal.throwIfAborted();
    if (this.#taken < this.#limit) {
      this.#taken += 1;
      return this.#release();
    }
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const go = (): void => resolve(true);
    const abort = (): void => reject(options.signal.reason);
    this.#waiting.add(go);
    const timer = setTimeout(() => resolve(false), options.waitSeconds * 1000);
    options.signal.addEventListener('abort', abort, { once: true });
    try {
      return (await promise) ? this.#release() : undefined;
    } finally {
      this.#waiting.delete(go);
      clearTimeout(timer);
      options.signal.removeEventListener('abort', abort);
    }
  }

  #release(): () => void {
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const [next] = this.#waiting;
      // The slot goes over to the next in line without being free in between.
      if (next === undefined) this.#taken -= 1;
      else {
        this.#waiting.delete(next);
        next();
      }
    };
  }
}
