// Whether closures lie complete in a cache, signed by the key that machines trust.
import { findSigner } from '@floe/crds/nix-key';
import { type Narinfo, narinfoFingerprint } from '../nix/narinfo.ts';
import type { CacheReader } from './binary-cache.ts';

/** What is known of one path: its narinfo, or what is wrong with it. */
type Known = { readonly info: Narinfo } | { readonly problem: string };

export type ClosureCheck = {
  /** Root -> the first problem of its closure; a root that is not in it is complete. */
  readonly problems: ReadonlyMap<string, string>;
  /** Uncompressed bytes of all paths of the complete closures, each counted once. */
  readonly bytes: number;
  /** Paths of the complete closures. */
  readonly paths: number;
};

const CONCURRENCY = 24;

async function lookAt(path: string, cache: CacheReader, publicKey: string): Promise<Known> {
  const found = await cache.narinfo(path);
  if (found.kind === 'missing') return { problem: `${path} is not in the cache` };
  if (found.kind === 'damaged') return { problem: `${path}: ${found.message}` };
  const { info } = found;
  if (findSigner(narinfoFingerprint(info), info.signatures, [publicKey]) === undefined) {
    return { problem: `${path} is not signed by ${publicKey.split(':', 1)[0]}` };
  }
  return (await cache.hasNar(info)) ? { info } : { problem: `${path}: its file ${info.url} is not in the cache` };
}

/** Everything that can be reached from the roots by references, asked with bounded concurrency. */
async function lookAtAll(roots: readonly string[], cache: CacheReader, publicKey: string): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  const seen = new Set<string>(roots);
  const waiting = [...seen];
  let running = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const next = (): void => {
    if (running === 0 && waiting.length === 0) resolve();
    while (running < CONCURRENCY) {
      const path = waiting.pop();
      if (path === undefined) return;
      running += 1;
      lookAt(path, cache, publicKey)
        .then((what) => {
          known.set(path, what);
          if ('info' in what) {
            for (const reference of what.info.references) {
              if (seen.has(reference)) continue;
              seen.add(reference);
              waiting.push(reference);
            }
          }
          running -= 1;
          next();
        })
        .catch((error: unknown) => {
          waiting.length = 0;
          reject(error);
        });
    }
  };
  next();
  await promise;
  return known;
}

function firstProblem(root: string, known: ReadonlyMap<string, Known>, reached: Set<string>): string | undefined {
  const mine = new Set([root]);
  for (const path of mine) {
    const what = known.get(path);
    if (what === undefined) return `${path} was not looked at`;
    if ('problem' in what) return what.problem;
    for (const reference of what.info.references) mine.add(reference);
  }
  for (const path of mine) reached.add(path);
  return undefined;
}

/** Checks the closures of all roots. Rejects when the cache can't be asked. */
export async function checkClosures(
  roots: readonly string[],
  cache: CacheReader,
  publicKey: string,
): Promise<ClosureCheck> {
  const known = await lookAtAll(roots, cache, publicKey);
  const problems = new Map<string, string>();
  const reached = new Set<string>();
  for (const root of new Set(roots)) {
    const problem = firstProblem(root, known, reached);
    if (problem !== undefined) problems.set(root, problem);
  }
  let bytes = 0;
  for (const path of reached) {
    const what = known.get(path);
    if (what !== undefined && 'info' in what) bytes += what.info.narSize;
  }
  return { problems, bytes, paths: reached.size };
}
