// Whether the cache's address is known in this pod, asked before anything is fetched or built for nothing.
import { CacheUnreachable, cacheReader } from './binary-cache.ts';
import { BuildFailure } from './failure.ts';

/** Where the address that machines and pods fetch from is set. */
export const SUBSTITUTER_FIELD = 'cache.publicUrl of the chart (--cache-substituter)';

/** No path has this hash; a cache that answers at all says that it has none. */
const NO_PATH = `/nix/store/${'0'.repeat(32)}-none`;
/** What Node says where a name can't be looked up. */
const NOT_KNOWN = /\b(?:ENOTFOUND|EAI_AGAIN)\b/;

/**
 * Asks the cache at `url` for nothing in particular. One that is away for now is only told by `warn`: it may be back when
 * it is needed.
 * @throws BuildFailure where the name of its host is not known here, which no waiting changes
 */
export async function needKnownCache(
  url: string,
  { signal, warn }: { signal: AbortSignal; warn: (message: string) => void },
): Promise<void> {
  const reader = cacheReader(url, signal);
  if (reader === undefined) return;
  try {
    await reader.narinfo(NO_PATH);
  } catch (error) {
    if (!(error instanceof CacheUnreachable)) throw error;
    if (!NOT_KNOWN.test(error.message)) {
      warn(error.message);
      return;
    }
    throw new BuildFailure(`the host of the cache ${url} is not known in pods of this namespace`, {
      field: SUBSTITUTER_FIELD,
      remedy: 'give an address that pods and machines can both look up: builds read there what they have uploaded',
      cause: error,
    });
  } finally {
    await reader.close();
  }
}
