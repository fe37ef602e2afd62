// Looks at sources in the background, a few at a time, and remembers what each look found.
import { verbAnnotation } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { Logger } from 'pino';
import { BackgroundLooks } from './background-looks.ts';
import { sourceKey } from './revision-id.ts';
import type { SourceView } from './snapshot.ts';
import type { Resolution } from './source.ts';
import { resolveInline } from './source-inline.ts';

export type SourceWatchOptions = {
  readonly resolve: (config: NixConfig, signal: AbortSignal) => Promise<Resolution>;
  /** Called when a look ended, with the key of the config. */
  readonly onLooked: (key: string) => void;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Looks at once. */
  readonly limit: number;
};

const NOTHING: SourceView = { looking: false, failures: 0 };

/** What is known of every config's source. It holds one entry for each config, and forgets those that are gone. */
export class SourceWatch {
  readonly #options: SourceWatchOptions;
  readonly #views = new Map<string, SourceView>();
  readonly #looks: BackgroundLooks<NixConfig, Resolution>;

  constructor(options: SourceWatchOptions) {
    this.#options = options;
    const { signal, limit, onLooked } = options;
    this.#looks = new BackgroundLooks({
      look: (key, config) => this.#resolve(key, config),
      onFound: (key, config, found) => {
        this.#keep(key, config, found);
        onLooked(key);
      },
      signal,
      limit,
    });
  }

  /** What is known now. Inline files need no look: they are known at once. */
  view(key: string, config: NixConfig): SourceView {
    const { inline } = config.spec.source;
    if (inline === undefined) return this.#views.get(key) ?? NOTHING;
    const known = this.#views.get(key);
    const same = known?.generation === config.metadata.generation && known?.order === orderOf(config);
    if (known?.key === sourceKey(config.spec) && same) return known;
    return this.#keep(key, config, resolveInline(inline.files));
  }

  /** Starts a look, unless one is under way. */
  look(key: string, config: NixConfig): void {
    if (this.#looks.start(key, config)) this.#views.set(key, { ...(this.#views.get(key) ?? NOTHING), looking: true });
  }

  /** Forgets a config that is gone; a look that is under way ends unheard. */
  forget(key: string): void {
    this.#views.delete(key);
    this.#looks.forget(key);
  }

  async #resolve(key: string, config: NixConfig): Promise<Resolution> {
    const { resolve, signal, log } = this.#options;
    try {
      return await resolve(config, signal);
    } catch (error) {
      if (!signal.aborted) log.error({ err: error, key }, 'looking at a source failed');
      const message = `the source could not be looked at: ${error instanceof Error ? error.message : String(error)}`;
      return { kind: 'problem', problem: { reason: 'SourceFailed', message, transient: true } };
    }
  }

  #keep(key: string, config: NixConfig, found: Resolution): SourceView {
    const lookedAt = sourceKey(config.spec);
    const order = orderOf(config);
    const { generation } = config.metadata;
    const before = this.#views.get(key);
    const same = before?.key === lookedAt;
    const base = {
      looking: false,
      key: lookedAt,
      ...(generation === undefined ? {} : { generation }),
      at: this.#options.now().getTime(),
      ...(order === undefined ? {} : { order }),
    };
    const view: SourceView =
      found.kind === 'resolved'
        ? { ...base, source: found.source, failures: 0 }
        : {
            ...base,
            // What was found before stays good while only the server is away.
            ...(same && before.source !== undefined && found.problem.transient ? { source: before.source } : {}),
            problem: found.problem,
            failures: (same ? before.failures : 0) + 1,
          };
    this.#views.set(key, view);
    return view;
  }
}

function orderOf({ metadata }: NixConfig): string | undefined {
  return metadata.annotations?.[verbAnnotation('reconcile')]?.slice(0, 256);
}
