// Bounds how many uploads run at once, in all and for one namespace; the others wait in line, for a limited time.

type Waiting = { readonly namespace: string; readonly go: () => void };

/**
 * Hands out a fixed number of slots. One namespace takes half of them at most, so that its slow uploads leave room for
 * others; whoever waits longest and may go is next.
 */
export class Slots {
  readonly #limit: number;
  readonly #waiting = new Set<Waiting>();
  readonly #takenBy = new Map<string, number>();
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Waits for a slot; returns its release, or undefined when none came free in time. Rejects when `signal` aborts. */
  async take(
    namespace: string,
    options: { waitSeconds: number; signal: AbortSignal },
  ): Promise<(() => void) | undefined> {
    options.signal.throwIfAborted();
    if (this.#mayGo(namespace)) return this.#occupy(namespace);
    const { promise, resolve, reject } = Promise.withResolvers<(() => void) | undefined>();
    const waiting = { namespace, go: () => resolve(this.#occupy(namespace)) };
    const abort = (): void => {
      this.#waiting.delete(waiting);
      reject(options.signal.reason);
    };
    this.#waiting.add(waiting);
    const timer = setTimeout(() => {
      this.#waiting.delete(waiting);
      resolve(undefined);
    }, options.waitSeconds * 1000);
    options.signal.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      this.#waiting.delete(waiting);
      clearTimeout(timer);
      options.signal.removeEventListener('abort', abort);
    }
  }

  #mayGo(namespace: string): boolean {
    const own = Math.max(1, Math.ceil(this.#limit / 2));
    return this.#taken < this.#limit && (this.#takenBy.get(namespace) ?? 0) < own;
  }

  #occupy(namespace: string): () => void {
    this.#taken += 1;
    this.#takenBy.set(namespace, (this.#takenBy.get(namespace) ?? 0) + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#leave(namespace);
    };
  }

  #leave(namespace: string): void {
    this.#taken -= 1;
    const left = (this.#takenBy.get(namespace) ?? 1) - 1;
    if (left === 0) this.#takenBy.delete(namespace);
    else this.#takenBy.set(namespace, left);
    for (const next of this.#waiting) {
      if (!this.#mayGo(next.namespace)) continue;
      this.#waiting.delete(next);
      next.go();
      return;
    }
  }
}
