// Decides when the cache is asked for closures of a revision, for which, and what its answers come to.
import type { RevisionClosures } from '@floe/crds/revision-closures';
import { intervalSeconds } from './look.ts';
import type { MachineBuilds } from './machine-builds.ts';
import { forNamespace } from './settings.ts';
import type { CacheView, Snapshot } from './snapshot.ts';

/** Seconds between two looks at least; else they follow the interval of the source. */
export const LEAST_CACHE_LOOK_SECONDS = 30;
/** Closures that one look asks for. What is lost is mostly lost whole, and each look asks for others. */
export const CLOSURES_PER_LOOK = 8;

/** What one look asks. */
export type CacheLook = {
  /** Revision and newest build: after another build what was found before means nothing. */
  readonly key: string;
  /** The order of a person that this look answers. */
  readonly order: string | undefined;
  /** Where machines fetch from. */
  readonly url: string;
  readonly closures: readonly string[];
};

export type CacheDecision = {
  readonly look?: CacheLook;
  /** Seconds until the next look. */
  readonly afterSeconds?: number;
  /** Whether the view speaks of the present builds. */
  readonly known: boolean;
  /** Whether it has answered the order that is given, besides. */
  readonly settled: boolean;
};

type Asked = {
  readonly revision: string;
  readonly builds: MachineBuilds;
  readonly closures: RevisionClosures;
  readonly order: string | undefined;
};

/** Only a cache that speaks HTTP is asked; of another nothing is known, and nothing is said. */
export function decideCacheLook(snapshot: Snapshot, asked: Asked, now: Date): CacheDecision {
  const { config, cache: view, settings } = snapshot;
  const url = forNamespace(settings.cacheSubstituter, config.metadata.namespace ?? 'default');
  const all = closuresOf(asked.builds);
  if (all.length === 0 || !/^https?:/.test(url)) return { known: true, settled: true };
  const key = `${asked.revision} ${asked.closures.newest?.job ?? ''} ${asked.closures.newest?.builtAt ?? ''}`;
  const isKnown = view.key === key;
  const isAnswered = asked.order === undefined || view.order === asked.order;
  const settled = isKnown && isAnswered;
  if (view.looking) return { known: isKnown, settled };
  const every = Math.max(LEAST_CACHE_LOOK_SECONDS, intervalSeconds(config.spec));
  const left = (view.at ?? 0) / 1000 + every - now.getTime() / 1000;
  // A clock that was set back must not stop looking.
  const due = left <= 0 || left > every;
  if (settled && !due) return { known: isKnown, settled, afterSeconds: left };
  return { known: isKnown, settled, look: { key, order: asked.order, url, closures: sample(all, view) } };
}

function closuresOf({ built }: MachineBuilds): string[] {
  return [...new Set(built.map(({ closure }) => closure))].toSorted();
}

/** Those that were missing, to see them come back, and others in turn. */
function sample(all: readonly string[], { missing, rounds }: CacheView): string[] {
  const first = (rounds * CLOSURES_PER_LOOK) % all.length;
  const turn = [...all.slice(first), ...all.slice(0, first)];
  const known = new Set(all);
  const again = missing.filter((path) => known.has(path)).slice(0, CLOSURES_PER_LOOK / 2);
  return [...new Set([...again, ...turn])].slice(0, CLOSURES_PER_LOOK);
}

/** What is said where the cache lacks closures. `failure` is why building them again did not work. */
export function lostWords({ missing, asked, url }: CacheView, failure: string | undefined): string {
  const [first = ''] = missing;
  const others = missing.length > 1 ? ` and ${missing.length - 1} more` : '';
  const lost = `the cache ${url ?? ''} has lost ${first}${others}, of ${asked} closures of this revision that it was asked for`;
  const remedy =
    "machines that do not have them yet can't fetch them; the annotation floe.dev/retry has them built again";
  return failure === undefined ? `${lost}: ${remedy}` : `${lost}, and building again failed: ${failure}. ${remedy}`;
}
