// Delays between tries: exponential, with full jitter so that many clients do not come back at once.

export interface BackoffSettings {
  /** Upper bound of the first delay, in seconds. Default 0.8. */
  readonly firstSeconds?: number;
  /** Upper bound of all delays, in seconds. Default 30. */
  readonly maxSeconds?: number;
  /** Source of the jitter, 0 to below 1. Default Math.random. */
  readonly random?: () => number;
}

/** The delays of one thing that is tried again and again. */
export class Backoff {
  /** Upper bound of all delays, in seconds. */
  readonly maxSeconds: number;
  readonly #first: number;
  readonly #random: () => number;
  #failures = 0;

  constructor(settings: BackoffSettings = {}) {
    this.#first = settings.firstSeconds ?? 0.8;
    this.maxSeconds = settings.maxSeconds ?? 30;
    this.#random = settings.random ?? Math.random;
  }

  /** Failures since the last reset. */
  get failures(): number {
    return this.#failures;
  }

  /** The next delay in seconds: anything up to the bound, which doubles, but never less than `atLeast`. */
  next(atLeast = 0): number {
    const bound = Math.min(this.maxSeconds, this.#first * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return atLeast + bound * this.#random();
  }

  /** Starts again with the first delay. */
  reset(): void {
    this.#failures = 0;
  }
}
