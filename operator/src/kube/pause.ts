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

/** Lets everything else that waits have its turn. */
export async function yieldToEventLoop(): Promise<void> {
  await setImmediate();
}
