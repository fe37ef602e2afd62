// How many writes may be under way to the API server at once: as many as it carries out at a time, and few that wait there.
import { isUnavailable } from './error.ts';

/** A clock in milliseconds that never jumps. */
type Milliseconds = () => number;

export type CongestionWindowOptions = {
  /** Writes under way at the start. Default 8. */
  readonly initial?: number;
  /** Fewest. Default 6: even an API server with two cores that others use, too, is kept busy by as many. */
  readonly least?: number;
  /** Most. Default 64. */
  readonly most?: number;
  readonly clock?: Milliseconds;
};

/** The window grows while fewer writes than this wait in the API server, and shrinks from `MANY` on. */
const FEW = 3;
const MANY = 6;
/** The shortest answer is forgotten after so long, in ms, so that a slower server is believed in the end. */
const MEMORY_MS = 30_000;

/** Sends one request and times it. */
export type Send = <T>(request: () => Promise<T>) => Promise<T>;

type Waiting = { readonly start: () => void; readonly signal: AbortSignal; readonly onAbort: () => void };

/**
 * A window of requests in the manner of TCP Vegas: what takes longer than the shortest answer has waited in the API
 * server. More requests at once would only wait there, in front of those that matter more: an order that is written now
 * reaches its machine after one answer, not after fifty. A fault halves the window.
 */
export class CongestionWindow {
  readonly #least: number;
  readonly #most: number;
  readonly #clock: Milliseconds;
  readonly #queue = new Set<Waiting>();
  #size: number;
  #underWay = 0;
  #shortest = Number.POSITIVE_INFINITY;
  /** Shortest answer since `#renewedAt`: it takes the place of `#shortest` when that is forgotten. */
  #recent = Number.POSITIVE_INFINITY;
  #renewedAt: number;

  constructor({ initial = 8, least = 6, most = 64, clock = () => performance.now() }: CongestionWindowOptions = {}) {
    this.#least = least;
    this.#most = most;
    this.#size = Math.min(Math.max(initial, least), most);
    this.#clock = clock;
    this.#renewedAt = clock();
  }

  /** Requests that may be under way at once now. */
  get size(): number {
    return Math.floor(this.#size);
  }

  /**
   * Does the work once there is room, first come, first served; its requests go through `send`, one after the other.
   * Rejects with the signal's reason when that is aborted while it waits.
   */
  async run<T>(work: (send: Send) => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#room(signal);
    const wasFull = this.#underWay >= this.size;
    try {
      return await work((request) => this.#timed(request, wasFull));
    } finally {
      this.#underWay -= 1;
      this.#startNext();
    }
  }

  async #timed<T>(request: () => Promise<T>, wasFull: boolean): Promise<T> {
    const began = this.#clock();
    try {
      const answer = await request();
      this.#answered(this.#clock() - began, wasFull);
      return answer;
    } catch (error) {
      // A lost race or a refusal is an answer like any other.
      if (isUnavailable(error)) this.#size = Math.max(this.#least, this.#size / 2);
      else this.#answered(this.#clock() - began, wasFull);
      throw error;
    }
  }

  #room(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#underWay < this.size && this.#queue.size === 0) {
      this.#underWay += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#queue.delete(waiting);
        reject(signal.reason);
      };
      const waiting: Waiting = { start: resolve, signal, onAbort };
      this.#queue.add(waiting);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #startNext(): void {
    for (const waiting of this.#queue) {
      if (this.#underWay >= this.size) return;
      this.#queue.delete(waiting);
      waiting.signal.removeEventListener('abort', waiting.onAbort);
      this.#underWay += 1;
      waiting.start();
    }
  }

  #answered(ms: number, wasFull: boolean): void {
    const now = this.#clock();
    this.#recent = Math.min(this.#recent, ms);
    this.#shortest = Math.min(this.#shortest, ms);
    if (now - this.#renewedAt >= MEMORY_MS) {
      this.#shortest = this.#recent;
      this.#recent = Number.POSITIVE_INFINITY;
      this.#renewedAt = now;
    }
    // A window that was not used up says nothing about what the server could bear.
    if (!wasFull) return;
    const waits = this.#size * (1 - this.#shortest / Math.max(ms, this.#shortest, 0.001));
    if (waits < FEW) this.#size = Math.min(this.#most, this.#size + 1 / this.#size);
    else if (waits > MANY) this.#size = Math.max(this.#least, this.#size - 1 / this.#size);
  }
}
