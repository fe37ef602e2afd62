// Runs looks in the background: one for each key, so many at once, in the order in which they were asked for.

export type BackgroundLooksOptions<What, Found> = {
  /** Never rejects. */
  readonly look: (key: string, what: What) => Promise<Found>;
  /** Takes what a look found, unless its key was forgotten or `signal` has aborted since. */
  readonly onFound: (key: string, what: What, found: Found) => void;
  readonly signal: AbortSignal;
  /** Looks at once. */
  readonly limit: number;
};

type Look<What> = { readonly what: What; isRunning: boolean };

/** Looks that wait or run. It holds one entry for each key, until its look has ended or the key is forgotten. */
export class BackgroundLooks<What, Found> {
  readonly #options: BackgroundLooksOptions<What, Found>;
  readonly #looks = new Map<string, Look<What>>();
  /** Also counts those that are forgotten and have not ended yet. */
  #running = 0;

  constructor(options: BackgroundLooksOptions<What, Found>) {
    this.#options = options;
  }

  /** Asks for a look; false where one of that key waits or runs already. */
  start(key: string, what: What): boolean {
    if (this.#looks.has(key)) return false;
    this.#looks.set(key, { what, isRunning: false });
    this.#next();
    return true;
  }

  /** A look of that key that waits is dropped, one that runs ends unheard. */
  forget(key: string): void {
    this.#looks.delete(key);
  }

  #next(): void {
    for (const [key, look] of this.#looks) {
      if (this.#running >= this.#options.limit) return;
      if (!look.isRunning) void this.#run(key, look);
    }
  }

  async #run(key: string, look: Look<What>): Promise<void> {
    const { onFound, signal } = this.#options;
    look.isRunning = true;
    this.#running += 1;
    const found = await this.#options.look(key, look.what);
    this.#running -= 1;
    if (signal.aborted) return;
    if (this.#looks.get(key) === look) {
      this.#looks.delete(key);
      onFound(key, look.what, found);
    }
    this.#next();
  }
}
