// Waits until something holds, by asking again and again within a limit.
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, for the error: "the API server to be ready". */
  readonly what: string;
  /** Default 60. */
  readonly timeoutSeconds?: number;
  /** Between two questions, default 0.1. */
  readonly everySeconds?: number;
  readonly signal?: AbortSignal;
  /** Added to the error: a log's tail, for instance. */
  readonly explain?: () => Promise<string>;
}

/** Returns the first answer that is not undefined or false. An answer that throws counts as "not yet". */
export async function waitUntil<T>(ask: () => Promise<T | undefined | false>, options: WaitOptions): Promise<T> {
  const limit = options.timeoutSeconds ?? 60;
  const deadline = performance.now() + limit * 1000;
  let last: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error: unknown) {
      last = error;
    }
    if (performance.now() > deadline) {
      const more = await options.explain?.().catch(() => '');
      throw new Error(`waited ${limit} s for ${options.what}${more ? `\n${more}` : ''}`, { cause: last });
    }
    await sleep((options.everySeconds ?? 0.1) * 1000, undefined, options.signal ? { signal: options.signal } : {});
  }
}
