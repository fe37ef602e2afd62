// The closures that lie on the volume, as its store describes them; what it says is checked before it is signed.
import { isStorePath, narinfoHash } from '@floe/crds/nix-fingerprint';
import { BuildFailure } from './failure.ts';
import type { Nix } from './nix.ts';

/** One path of the volume's store. */
export type LocalPath = { readonly path: string; readonly narHash: string };

const SECONDS = 600;

type PathInfo = { narHash?: unknown; references?: unknown } | null;

async function pathInfo(
  nix: Nix,
  paths: readonly string[],
  recursive: boolean,
  signal: AbortSignal,
): Promise<Record<string, PathInfo>> {
  const text = await nix.output(
    {
      args: ['path-info', '--json', ...(recursive ? ['--recursive'] : []), '--stdin'],
      input: paths.join('\n'),
      doing: 'looking at what was built',
      timeoutSeconds: SECONDS,
    },
    { signal },
  );
  return JSON.parse(text) as Record<string, PathInfo>;
}

/** All paths of the closures of those roots that the volume has. @throws BuildFailure when its store is broken */
export async function localClosure(nix: Nix, roots: readonly string[], signal: AbortSignal): Promise<LocalPath[]> {
  const found = await pathInfo(nix, roots, false, signal);
  const here = roots.filter((root) => (found[root] ?? null) !== null);
  if (here.length === 0) return [];
  const all = await pathInfo(nix, here, true, signal);
  return Object.entries(all).map(([path, info]) => {
    const narHash = info?.narHash;
    if (!isStorePath(path) || typeof narHash !== 'string' || narinfoHash(narHash) === undefined) {
      throw new BuildFailure(`the store on the Job's volume describes ${path} in a way that is not understood`, {
        remedy: 'see the log of the container build',
      });
    }
    return { path, narHash };
  });
}
