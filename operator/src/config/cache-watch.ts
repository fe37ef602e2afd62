// Asks caches in the background whether they still have closures, a few at a time, and remembers what each look found.
import type { Logger } from 'pino';
import { BackgroundLooks } from './background-looks.ts';
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

/** By closure; those that were not come to are absent. */
type CacheAnswers = ReadonlyMap<string, CacheAnswer>;

const NOTHING: CacheView = { looking: false, rounds: 0, missing: [], asked: 0 };

/** What is known of the closures of every config. It holds one entry for each config, and forgets those that are gone. */
export class CacheWatch {
  readonly #options: CacheWatchOptions;
  readonly #views = new Map<string, CacheView>();
  readonly #looks: BackgroundLooks<CacheLook, CacheAnswers>;

  constructor(options: CacheWatchOptions) {
    this.#options = options;
    const { signal, limit, onLooked } = options;
    this.#looks = new BackgroundLooks({
      look: (key, what) => this.#ask(key, what),
      onFound: (key, what, answers) => {
        this.#keep(key, what, answers);
        onLooked(key);
      },
      signal,
      limit,
    });
  }

  view(key: string): CacheView {
    return this.#views.get(key) ?? NOTHING;
  }

  /** Starts a look, unless one is under way. */
  look(key: string, what: CacheLook): void {
    if (this.#looks.start(key, what)) this.#views.set(key, { ...this.view(key), looking: true });
  }

  /** Forgets a config that is gone; a look that is under way ends unheard. */
  forget(key: string): void {
    this.#views.delete(key);
    this.#looks.forget(key);
  }

  async #ask(key: string, { url, closures }: CacheLook): Promise<CacheAnswers> {
    const { ask, signal, log } = this.#options;
    const answers = new Map<string, CacheAnswer>();
    try {
      for (const closure of closures) {
        const answer = await ask(url, closure, signal);
        answers.set(closure, answer);
        // One that does not answer is not asked seven times more.
        if (answer === 'unknown') break;
      }
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, key }, 'asking the cache failed');
    }
    return answers;
  }

  #keep(key: string, what: CacheLook, answers: CacheAnswers): void {
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
