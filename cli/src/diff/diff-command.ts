// `floe diff ROLLOUT`: what a rollout changes on its machines, read from the cluster and from the binary cache.
import { CacheUnreachable } from '@floe/operator/builder/binary-cache';
import {
  CLUSTER_HELP,
  type ClusterPorts,
  clusterFlags,
  oneName,
  ROLLOUT_KIND,
  snapshotIn,
  withCluster,
} from '../cluster.ts';
import { readFlags } from '../flags.ts';
import { InputError } from '../input-error.ts';
import { outputFlags, wantsJson } from '../output.ts';
import { openCache } from './cache-files.ts';
import { diffText } from './diff-text.ts';
import { type Difference, differenceOf, pairsOf } from './fleet-difference.ts';

export const DIFF_HELP = `kubectl floe diff ROLLOUT [--cache URL] [--all]

Says what the newest revision changes on the machines of a Rollout, compared with what they run now: packages, units
that restart, whether a reboot is due, and bytes to fetch. Machines with the same pair of closures are one entry.
Units are those of the files; what happens to them happens where they are active.

      --cache URL            where the closures are: file://, http:// or https://; default: the cache of the NixConfig.
                             Inside the cluster only? kubectl -n floe-system port-forward svc/floe-cache 8080, then
                             --cache http://localhost:8080/NAMESPACE
      --all                  every pair and every package; else the first 10 pairs and 40 packages
  -o, --output json          JSON for programs; --json is the same
${CLUSTER_HELP}`;

/** Pairs that are compared without --all: each costs some thousand questions to the cache. */
const PAIRS = 10;

/** The text to print. Throws InputError on wrong input. */
export async function diffCommand(argv: readonly string[], ports: ClusterPorts): Promise<string> {
  const flags = readFlags(
    argv,
    { ...clusterFlags, ...outputFlags, cache: 'text', all: 'flag' },
    { n: 'namespace', o: 'output' },
  );
  const json = wantsJson(flags);
  const name = oneName(flags, ROLLOUT_KIND, 'kubectl floe diff ROLLOUT');
  const { signal } = ports;
  const snapshot = await withCluster(flags, ports, (client, namespace) =>
    snapshotIn(client, { namespace, name }, signal),
  );
  const pairs = pairsOf(snapshot);
  const all = flags.flag('all');
  const compared = all ? pairs.pairs : pairs.pairs.slice(0, PAIRS);
  const differences: Difference[] = [];
  if (compared.length > 0) {
    const files = openCache(cacheOf(flags.text('cache') ?? snapshot.config?.status?.cache?.url), signal);
    try {
      for (const pair of compared) differences.push(await differenceOf(pair, files));
    } catch (cause) {
      if (!(cause instanceof CacheUnreachable)) throw cause;
      const remedy =
        'where that address holds in the cluster only, forward its port and give --cache: kubectl floe diff --help';
      throw new Error(`${cause.message}; ${remedy}`, { cause });
    } finally {
      await files.close();
    }
  }
  const left = pairs.pairs.length - compared.length;
  if (!json) return diffText(name, pairs, { differences, left, all });
  const { revision = null, same, notBuilt } = pairs;
  return JSON.stringify({ rollout: name, revision, differences, notCompared: left, same, notBuilt }, undefined, 2);
}

function cacheOf(url: string | undefined): string {
  if (url !== undefined) return url;
  throw new InputError({
    error: 'the NixConfig does not say where its closures are',
    field: '--cache',
    remedy: 'give the address of the cache, --cache https://cache.example.com/NAMESPACE',
  });
}
