// Waiting: for a time, or for one turn of the event loop.
import { setImmediate } from 'node:timers/promises';

/** Waits; returns early, without throwing, when `signal` is aborted. */
export function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener('abort', end, { once: true });
  });
}

/**
 * Keeps work that finds everything in memory from holding up the event loop: promises that are fulfilled already follow
 * each other without a turn of it in between, however many they are.
 */
export class EventLoopShare {
  readonly #longestMs: number;
  #since = performance.now();
  #turn: Promise<void> | undefined;

  /** `longestMs`: for how long the work may go on without a turn of the event loop. Default 10. */
  constructor(longestMs = 10) {
    this.#longestMs = longestMs;
  }

  /** To be awaited between two pieces of work. */
  async yieldWhenDue(): Promise<void> {
    if (this.#turn === undefined && performance.now() - this.#since < this.#longestMs) return;
    // One turn for all who share: each with its own would go on for as long once more.
    this.#turn ??= setImmediate().then(() => {
      this.#since = performance.now();
      this.#turn = undefined;
    });
    await this.#turn;
  }
}

/** Lets everything else that waits have its turn. */
export async function yieldToEventLoop(): Promise<void> {
  await setImmediate();
}
