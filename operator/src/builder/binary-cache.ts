// Looks into a binary cache without Nix: which paths it describes, and whether their NARs are there.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import { type Narinfo, parseNarinfo } from '../nix/narinfo.ts';
import { hashPart } from '../nix/store-path.ts';

/** What is known about a path in a cache. */
export type Lookup =
  | { readonly kind: 'found'; readonly info: Narinfo }
  | { readonly kind: 'missing' }
  | { readonly kind: 'damaged'; readonly message: string };

/** The port to a cache. Methods reject when the cache can't be asked at all. */
export interface CacheReader {
  narinfo(path: string): Promise<Lookup>;
  /** Whether the file is there, in the size that the narinfo says. */
  hasNar(info: Narinfo): Promise<boolean>;
  close(): Promise<void>;
}

/** The cache gave no usable answer, after several tries. */
export class CacheUnreachable extends Error {
  override readonly name = 'CacheUnreachable';
}

function read(path: string, text: string): Lookup {
  const parsed = parseNarinfo(text);
  if (!parsed.ok) return { kind: 'damaged', message: `its narinfo is malformed: ${parsed.field} ${parsed.message}` };
  if (hashPart(parsed.value.storePath) !== hashPart(path))
    return { kind: 'damaged', message: 'its narinfo is about another path' };
  return { kind: 'found', info: parsed.value };
}

function fileReader(root: string): CacheReader {
  const missing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';
  return {
    async narinfo(path) {
      try {
        return read(path, await readFile(join(root, `${hashPart(path)}.narinfo`), 'utf8'));
      } catch (error) {
        if (missing(error)) return { kind: 'missing' };
        throw new CacheUnreachable(`the cache ${root} can't be read: ${error instanceof Error ? error.message : ''}`, {
          cause: error,
        });
      }
    },
    async hasNar(info) {
      const found = await stat(join(root, info.url)).catch(() => undefined);
      return found?.isFile() === true && (info.fileSize === undefined || found.size === info.fileSize);
    },
    close: async () => undefined,
  };
}

const TRIES = 4;
const TIMEOUT_MS = 30_000;

type Got = { status: number; length: string | undefined; text: string };
type Ask = (name: string, method: 'GET' | 'HEAD') => Promise<Got>;

/** Asks again after failures that may pass. Rejects with CacheUnreachable when they don't. */
function persistent(base: string, once: Ask, signal: AbortSignal): Ask {
  const attempt = async (name: string, method: 'GET' | 'HEAD'): Promise<Got | string> => {
    try {
      const got = await once(name, method);
      const passes = got.status >= 500 || got.status === 429;
      return passes ? `it answers ${got.status}: ${got.text.trim().slice(0, 200)}` : got;
    } catch (cause) {
      signal.throwIfAborted();
      return cause instanceof Error ? cause.message : String(cause);
    }
  };
  return async (name, method) => {
    let got = await attempt(name, method);
    for (let tries = 1; tries < TRIES && typeof got === 'string'; tries++) {
      await pause(500 * 2 ** tries, undefined, { signal });
      got = await attempt(name, method);
    }
    if (typeof got === 'string') throw new CacheUnreachable(`the cache ${base} can't be asked: ${got}`);
    return got;
  };
}

function httpReader(base: string, signal: AbortSignal): CacheReader {
  const root = base.endsWith('/') ? base : `${base}/`;
  const dispatcher: Dispatcher = new EnvHttpProxyAgent({ connections: 32, connect: { timeout: 20_000 } });
  const once: Ask = async (name, method) => {
    const url = new URL(name, root);
    const answer = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const length = answer.headers['content-length'];
    return {
      status: answer.statusCode,
      length: Array.isArray(length) ? length[0] : length,
      text: await answer.body.text(),
    };
  };
  const ask = persistent(base, once, signal);
  return {
    async narinfo(path) {
      const got = await ask(`${hashPart(path)}.narinfo`, 'GET');
      // S3 without permission to list says 403 for what is not there.
      if (got.status === 404 || got.status === 403) return { kind: 'missing' };
      if (got.status !== 200) return { kind: 'damaged', message: `the cache answers ${got.status}` };
      return read(path, got.text);
    },
    async hasNar(info) {
      const { status, length } = await ask(info.url, 'HEAD');
      if (status !== 200) return false;
      return info.fileSize === undefined || length === undefined || Number(length) === info.fileSize;
    },
    close: async () => dispatcher.close(),
  };
}

/** A reader for a file:// or http(s):// cache; undefined for other kinds, which only Nix can ask. */
export function cacheReader(url: string, signal: AbortSignal): CacheReader | undefined {
  const plain = url.split('?', 1)[0] ?? '';
  if (plain.startsWith('file:///')) return fileReader(fileURLToPath(plain));
  if (/^https?:\/\//.test(plain)) return httpReader(plain, signal);
  return undefined;
}
