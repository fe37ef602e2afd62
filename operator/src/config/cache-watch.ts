// Asks caches in the background whether they still have closures, a few at a time, and remembers what each look found.
import type { Logger } from 'pino';
import type { CacheLook } from './cache-look.ts';
import type { CacheView } from './snapshot.ts';

/** What a cache says of one closure; `unknown` is whatever is no clear answer. */
export type CacheAnswer = 'there' | 'missing' | 'unknown';

/** The port: asks a cache for one closure. Never rejects but when `signal` aborts. */
export type AskCache = (url: string, closure: string, signal: AbortSignal) => Promise<CacheAnswer>;

export type CacheWatchOptions = {
  readonly ask: AskCache;
  /** Called when a look ended, with the key of the config. */
  readonly onLooked: (key: string) => void;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Looks at once. */
  readonly limit: number;
};

const NOTHING: CacheView = { looking: false, rounds: 0, missing: [], asked: 0 };

/** What is known of the closures of every config. It holds one entry for each config, and forgets those that are gone. */
export class CacheWatch {
  readonly #options: CacheWatchOptions;
  readonly #views = new Map<string, CacheView>();
  readonly #waiting = new Map<string, CacheLook>();
  #running = 0;

  constructor(options: CacheWatchOptions) {
    this.#options = options;
  }

  view(key: string): CacheView {
    return this.#views.get(key) ?? NOTHING;
  }

  /** Starts a look, unless one is under way. */
  look(key: string, what: CacheLook): void {
    const before = this.view(key);
    if (before.looking) return;
    this.#views.set(key, { ...before, looking: true });
    this.#waiting.set(key, what);
    this.#next();
  }

  /** Forgets a config that is gone; a look that is under way ends unheard. */
  forget(key: string): void {
    this.#views.delete(key);
    this.#waiting.delete(key);
  }

  #next(): void {
    for (const [key, what] of this.#waiting) {
      if (this.#running >= this.#options.limit) return;
      this.#waiting.delete(key);
      this.#running += 1;
      void this.#run(key, what);
    }
  }

  async #run(key: string, what: CacheLook): Promise<void> {
    const { ask, signal, log, onLooked } = this.#options;
    const answers = new Map<string, CacheAnswer>();
    try {
      for (const closure of what.closures) {
        const answer = await ask(what.url, closure, signal);
        answers.set(closure, answer);
        // One that does not answer is not asked seven times more.
        if (answer === 'unknown') break;
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, key }, 'asking the cache failed');
    }
    this.#running -= 1;
    if (signal.aborted) return;
    if (this.#views.has(key)) {
      this.#keep(key, what, answers);
      onLooked(key);
    }
    this.#next();
  }

  #keep(key: string, what: CacheLook, answers: ReadonlyMap<string, CacheAnswer>): void {
    const before = this.view(key);
    const known = [...answers].filter(([, answer]) => answer !== 'unknown');
    // What was missing stays so until the cache says otherwise.
    const still = before.key === what.key ? before.missing.filter((path) => !answers.has(path)) : [];
    const isSilent = known.length === 0 && before.key === what.key;
    this.#views.set(key, {
      looking: false,
      key: what.key,
      url: what.url,
      at: this.#options.now().getTime(),
      rounds: before.rounds + 1,
      ...(what.order === undefined ? {} : { order: what.order }),
      missing: isSilent
        ? before.missing
        : [...known.flatMap(([path, answer]) => (answer === 'missing' ? [path] : [])), ...still],
      asked: isSilent ? before.asked : known.length + still.length,
    });
  }
}
