// Asks a binary cache over HTTP whether it describes a store path.
import { EnvHttpProxyAgent } from 'undici';
import { hashPart } from '../nix/store-path.ts';
import type { AskCache } from './cache-watch.ts';

const TIMEOUT_MS = 10_000;

/** The way in which a real cache is asked. A refusal is no answer: object stores also refuse what is not there. */
export function cacheAsker(): AskCache {
  const dispatcher = new EnvHttpProxyAgent({ connections: 8, connect: { timeout: TIMEOUT_MS } });
  return async (base, closure, signal) => {
    try {
      const url = new URL(`${hashPart(closure)}.narinfo`, base.endsWith('/') ? base : `${base}/`);
      const { statusCode, body } = await dispatcher.request({
        origin: url.origin,
        path: url.pathname,
        method: 'GET',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      await body.dump();
      if (statusCode === 404) return 'missing';
      return statusCode === 200 ? 'there' : 'unknown';
    } catch {
      signal.throwIfAborted();
      return 'unknown';
    }
  };
}
