// Files of closures as a binary cache has them: narinfo by path, and the trees of small paths.
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, zstdDecompress } from 'node:zlib';
import { type CacheReader, cacheReader } from '@floe/operator/builder/binary-cache';
import type { Narinfo } from '@floe/operator/nix/narinfo';
import { request } from 'undici';
import { InputError } from '../input-error.ts';
import { type Node, parseNar } from './nar.ts';

/** The tree of a path, or why it can't be had. */
export type Tree = { readonly ok: true; readonly root: Node } | { readonly ok: false; readonly why: string };

/** What a comparison reads. Both methods reject when the cache can't be asked at all. */
export interface StoreFiles {
  /** Undefined: the cache does not have it. */
  narinfo(path: string): Promise<Narinfo | undefined>;
  tree(path: string): Promise<Tree>;
}

/** Bytes of the NARs that are read: those of the toplevel, of /etc and of units are far smaller. */
const LARGEST = 4 * 1024 * 1024;
/** Time limit of one NAR, in ms. */
const NAR_MS = 60_000;

type Unpack = (bytes: Buffer) => Promise<Buffer>;
const options = { maxOutputLength: LARGEST };
const UNPACK: Readonly<Record<string, Unpack>> = {
  none: async (bytes) => bytes,
  zstd: (bytes) => promisify(zstdDecompress)(bytes, options),
  gzip: (bytes) => promisify(gunzip)(bytes, options),
  br: (bytes) => promisify(brotliDecompress)(bytes, options),
};

/** Opens a cache; everything is asked once. Throws InputError for an address that only Nix can read. */
export function openCache(url: string, signal: AbortSignal): StoreFiles & Pick<CacheReader, 'close'> {
  const reader = cacheReader(url, signal);
  if (reader === undefined) {
    throw new InputError({
      error: `the cache ${url} can't be read without Nix`,
      field: '--cache',
      remedy: 'give the address of a cache over file://, http:// or https:// that has the closures',
    });
  }
  const infos = new Map<string, Promise<Narinfo | undefined>>();
  const trees = new Map<string, Promise<Tree>>();
  const narinfo = async (path: string): Promise<Narinfo | undefined> => {
    const found = await reader.narinfo(path);
    return found.kind === 'found' ? found.info : undefined;
  };
  const files: StoreFiles = {
    narinfo: (path) => once(infos, path, narinfo),
    tree: (path) => once(trees, path, async () => treeOf(path, await files.narinfo(path), { url, signal })),
  };
  return { ...files, close: () => reader.close() };
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: (key: string) => Promise<T>): Promise<T> {
  const found = known.get(key) ?? make(key);
  known.set(key, found);
  return found;
}

async function treeOf(
  path: string,
  info: Narinfo | undefined,
  cache: { url: string; signal: AbortSignal },
): Promise<Tree> {
  const no = (why: string): Tree => ({ ok: false, why: `${path}: ${why}` });
  if (info === undefined) return no('not in the cache');
  const unpack = Object.hasOwn(UNPACK, info.compression) ? UNPACK[info.compression] : undefined;
  if (unpack === undefined) return no(`packed with ${info.compression}, which is not read here`);
  if (info.narSize > LARGEST) return no('too large to be read for a comparison');
  const bytes = await narBytes(info, cache);
  if (bytes === undefined) return no('its NAR is not in the cache');
  try {
    return { ok: true, root: parseNar(await unpack(bytes)) };
  } catch (cause) {
    return no(`its NAR can't be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

async function narBytes(
  info: Narinfo,
  { url, signal }: { url: string; signal: AbortSignal },
): Promise<Buffer | undefined> {
  const plain = url.split('?', 1)[0] ?? '';
  if (plain.startsWith('file:')) return readFile(join(fileURLToPath(plain), info.url)).catch(() => undefined);
  const address = new URL(info.url, plain.endsWith('/') ? plain : `${plain}/`);
  const answer = await request(address, { signal: AbortSignal.any([signal, AbortSignal.timeout(NAR_MS)]) });
  if (answer.statusCode !== 200) {
    await answer.body.dump();
    return undefined;
  }
  return Buffer.from(await answer.body.arrayBuffer());
}
