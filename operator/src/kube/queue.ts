// The queue of keys that controllers work off: merging, delaying, backing off, never handing out one key twice at once.
import { type Clock, systemClock } from './clock.ts';
import { DelayHeap } from './delay-heap.ts';
import type { QueueMetrics } from './queue-metrics.ts';

/** `user` for changes that somebody made just now, `relist` for what a list brought; users go first. */
export type Priority = 'user' | 'relist';

export interface WorkQueueOptions {
  /** Name in the metrics; usually the controller's. */
  readonly name: string;
  readonly metrics?: QueueMetrics;
  /** First delay of a key that failed, in seconds; doubles with each further failure. Default 0.005. */
  readonly baseDelaySeconds?: number;
  /** Longest delay of a key that failed, in seconds. Default 1000. */
  readonly maxDelaySeconds?: number;
  readonly clock?: Clock;
  /** Source of the jitter, 0 to below 1. Default Math.random. */
  readonly random?: () => number;
}

/**
 * A queue of keys in which each key is in at most one place: ready, delayed, or in a worker's hands; a key that is added
 * while a worker has it is handed out again after `done`. Everything it holds is bounded by the number of keys.
 */
export class WorkQueue {
  readonly name: string;
  readonly #metrics: QueueMetrics | undefined;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #baseSeconds: number;
  readonly #maxSeconds: number;
  /** Keys that are due, in order of arrival, with the time they became due. */
  readonly #ready: Record<Priority, Map<string, number>> = { user: new Map(), relist: new Map() };
  readonly #delayed = new DelayHeap();
  readonly #delayedPriority = new Map<string, Priority>();
  readonly #running = new Map<string, { since: number; priority: Priority }>();
  /** Keys that were added while a worker had them. */
  readonly #dirty = new Map<string, Priority>();
  readonly #failures = new Map<string, number>();
  readonly #waiters: ((key: string) => void)[] = [];
  #cancelTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(options: WorkQueueOptions) {
    this.name = options.name;
    this.#metrics = options.metrics;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#baseSeconds = options.baseDelaySeconds ?? 0.005;
    this.#maxSeconds = options.maxDelaySeconds ?? 1000;
    this.#metrics?.track(this);
  }

  /** Keys that are due and wait for a worker. */
  get depth(): number {
    return this.#ready.user.size + this.#ready.relist.size;
  }

  /** Keys that wait for their time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  /** Seconds since each key in a worker's hands was taken. */
  runningSeconds(): number[] {
    const now = this.#clock.now();
    return [...this.#running.values()].map(({ since }) => (now - since) / 1000);
  }

  /** Makes a key due now; a key that is due already keeps its place, or moves up when `user` meets `relist`. */
  add(key: string, options: { readonly priority?: Priority } = {}): void {
    this.#metrics?.added(this.name);
    this.#makeDue(key, options.priority ?? 'user');
  }

  /** Makes a key due in `seconds`, or earlier if it is due earlier anyway. */
  addAfter(key: string, seconds: number, options: { readonly priority?: Priority } = {}): void {
    const priority = options.priority ?? this.#running.get(key)?.priority ?? 'user';
    if (!(seconds > 0)) {
      this.add(key, { priority });
      return;
    }
    this.#metrics?.added(this.name);
    if (this.#dirty.has(key) || this.#ready.user.has(key) || this.#ready.relist.has(key)) {
      return;
    }
    this.#delayed.offer(key, this.#clock.now() + seconds * 1000);
    this.#delayedPriority.set(key, higher(this.#delayedPriority.get(key), priority));
    this.#arm();
  }

  /**
   * Makes a key due after its back-off, which doubles with each call until `forget`: half of it fixed, half random. It is
   * never sooner than `atLeastSeconds`, for servers that say when to come back. Returns the delay in seconds.
   */
  addRateLimited(
    key: string,
    options: { readonly priority?: Priority; readonly atLeastSeconds?: number } = {},
  ): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics?.retried(this.name);
    const full = Math.min(this.#maxSeconds, this.#baseSeconds * 2 ** Math.min(failures, 60));
    const seconds = Math.max(options.atLeastSeconds ?? 0, full / 2 + (full / 2) * this.#random());
    this.addAfter(key, seconds, options.priority === undefined ? {} : { priority: options.priority });
    return seconds;
  }

  /** How often a key failed since it was last forgotten. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Ends the back-off of a key. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Waits for the next key, which the caller must give back with `done`; undefined once `signal` is aborted. */
  take(signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) {
      return Promise.resolve(undefined);
    }
    const key = this.#next();
    if (key !== undefined) {
      return Promise.resolve(key);
    }
    return new Promise((resolve) => {
      const waiter = (taken: string) => {
        signal.removeEventListener('abort', abort);
        resolve(taken);
      };
      const abort = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(undefined);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Gives a key back; if it was added meanwhile, it becomes due now. */
  done(key: string): void {
    const running = this.#running.get(key);
    if (running === undefined) {
      return;
    }
    this.#running.delete(key);
    this.#metrics?.finished(this.name, (this.#clock.now() - running.since) / 1000);
    const dirty = this.#dirty.get(key);
    if (dirty !== undefined) {
      this.#dirty.delete(key);
      this.#makeDue(key, dirty);
    }
  }

  #makeDue(key: string, asked: Priority): void {
    // A key that waited for a later time is due now: one entry, the earliest time, the higher priority.
    const priority = higher(this.#delayedPriority.get(key), asked);
    this.#delayed.remove(key);
    this.#delayedPriority.delete(key);
    if (this.#running.has(key)) {
      this.#dirty.set(key, higher(this.#dirty.get(key), priority));
      return;
    }
    if (this.#ready.user.has(key)) {
      return;
    }
    const since = this.#ready.relist.get(key);
    if (priority === 'user') {
      this.#ready.relist.delete(key);
    }
    if (since === undefined || priority === 'user') {
      this.#ready[priority].set(key, since ?? this.#clock.now());
    }
    this.#serve();
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      const key = this.#next();
      if (key === undefined) {
        return;
      }
      this.#waiters.shift()?.(key);
    }
  }

  #next(): string | undefined {
    for (const priority of ['user', 'relist'] as const) {
      for (const [key, since] of this.#ready[priority]) {
        this.#ready[priority].delete(key);
        const now = this.#clock.now();
        this.#running.set(key, { since: now, priority });
        this.#metrics?.taken(this.name, (now - since) / 1000);
        return key;
      }
    }
    return undefined;
  }

  /** Keeps one timer, at the time of the key that is due first. */
  #arm(): void {
    const first = this.#delayed.first;
    if (first === undefined || first >= this.#timerAt) {
      return;
    }
    this.#cancelTimer?.();
    this.#timerAt = first;
    this.#cancelTimer = this.#clock.after(first - this.#clock.now(), () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.#cancelTimer = undefined;
      for (const key of this.#delayed.takeDue(this.#clock.now())) {
        this.#makeDue(key, this.#delayedPriority.get(key) ?? 'user');
      }
      this.#arm();
    });
  }
}

function higher(a: Priority | undefined, b: Priority): Priority {
  return a === 'user' || b === 'user' ? 'user' : 'relist';
}
