// Time as the machinery sees it: one that never jumps, and timers; tests bring their own.

export interface Clock {
  /** Milliseconds since some fixed moment; only differences mean something. */
  now(): number;
  /** Calls `callback` once after `milliseconds`, unless the returned function is called before. */
  after(milliseconds: number, callback: () => void): () => void;
}

/** Node's timers fire at once when asked for more than this. */
const LONGEST_MS = 2 ** 31 - 1;

/** The monotonic clock of this process. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, Math.min(LONGEST_MS, Math.max(0, Math.ceil(milliseconds)))).unref();
    return () => clearTimeout(timer);
  },
};
