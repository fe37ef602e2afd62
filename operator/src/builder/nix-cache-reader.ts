// Looks into a cache that only Nix can ask: s3://, ssh-ng:// and whatever else it knows.
import { isStorePath, narinfoHash } from '@floe/crds/nix-fingerprint';
import type { CacheReader, Lookup } from './binary-cache.ts';
import { CacheUnreachable } from './binary-cache.ts';
import { failureText, type Nix } from './nix.ts';

const SECONDS = 120;

function lookup(path: string, value: unknown): Lookup {
  if (value === null || typeof value !== 'object') return { kind: 'missing' };
  const { narHash, narSize, references, signatures } = value as Record<string, unknown>;
  const hash = typeof narHash === 'string' ? narinfoHash(narHash) : undefined;
  const texts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((text) => typeof text === 'string');
  if (
    hash === undefined ||
    typeof narSize !== 'number' ||
    !texts(references) ||
    !texts(signatures) ||
    !references.every(isStorePath)
  ) {
    return { kind: 'damaged', message: 'the cache describes it in a way that is not understood' };
  }
  const info = {
    storePath: path,
    url: '',
    compression: 'none',
    fileHash: undefined,
    fileSize: undefined,
    narHash: hash,
    narSize,
    references,
    signatures,
    rest: [],
  };
  return { kind: 'found', info };
}

/** A reader that calls Nix for each path: slow, but it works for every kind of store. NARs are taken on trust. */
export function nixCacheReader(nix: Nix, url: string, signal: AbortSignal): CacheReader {
  return {
    async narinfo(path) {
      const call = {
        args: ['path-info', '--json', '--store', url, path],
        doing: 'asking the cache',
        timeoutSeconds: SECONDS,
      };
      const ended = await nix.run(call, { signal });
      if (ended.code !== 0) {
        if (/is not valid/.test(ended.stderr)) return { kind: 'missing' };
        throw new CacheUnreachable(`the cache ${url} can't be asked: ${failureText(ended)}`);
      }
      return lookup(path, (JSON.parse(ended.stdout) as Record<string, unknown>)[path]);
    },
    hasNar: async () => true,
    close: async () => undefined,
  };
}
