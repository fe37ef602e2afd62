// Tells the machine once that the agent is at rest: nothing was in hand for a while.
import type { Clock } from './attempt/ports.ts';
import type { Log } from './log.ts';

type Parts = {
  readonly machine: { rested?(): Promise<void> };
  readonly clock: Clock;
  readonly log: Log;
};

/** From the end of an attempt, or the start: connections are made and reports sent by then. */
const SETTLED_MS = 30_000;

export class Rest {
  readonly #parts: Parts;
  #disturbed: AbortController | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Nothing is in hand. Said again, it changes nothing. */
  begin(signal: AbortSignal): void {
    const { machine, clock, log } = this.#parts;
    if (machine.rested === undefined || this.#disturbed !== undefined) return;
    this.#disturbed = new AbortController();
    const stop = AbortSignal.any([signal, this.#disturbed.signal]);
    clock
      .sleep(SETTLED_MS, stop)
      .then(() => machine.rested?.())
      .catch((error: unknown) => {
        if (!stop.aborted) log.warn(String(error));
      });
  }

  /** Something is in hand from now on. */
  end(): void {
    this.#disturbed?.abort();
    this.#disturbed = undefined;
  }
}
