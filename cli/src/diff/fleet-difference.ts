// What a rollout changes on its machines: pairs of closures, each with the machines that go from one to the other.
import type { NixMachine } from '@floe/crds/nix-machine';
import { spokenBytes } from '@floe/operator/conditions/spoken';
import type { Narinfo } from '@floe/operator/nix/narinfo';
import { ownership } from '@floe/operator/rollout/ownership';
import type { Snapshot } from '@floe/operator/rollout/snapshot';
import type { StoreFiles } from './cache-files.ts';
import { type ClosureDifference, closureDifference } from './closure-difference.ts';
import { type SystemDifference, systemDifference } from './system-difference.ts';

export type Pair = { readonly from: string | undefined; readonly to: string; readonly machines: readonly string[] };

export type Pairs = {
  readonly revision: string | undefined;
  readonly pairs: readonly Pair[];
  /** Machines that run their closure of the revision already. */
  readonly same: number;
  /** Machines without a closure in it, and why. */
  readonly notBuilt: readonly { readonly machine: string; readonly message: string }[];
};

/** Who goes from which closure to which, most machines first. */
export function pairsOf({ rollout, rollouts, machines, config, closures }: Snapshot): Pairs {
  const revision = config?.status?.revision?.id ?? rollout.status?.revision;
  if (revision === undefined) return { revision, pairs: [], same: 0, notBuilt: [] };
  const { owned } = ownership(rollout, rollouts, machines);
  const found = owned.map((machine) => ({ machine, ...closures.of(revision, machine.metadata.name) }));
  const notBuilt = found.flatMap((one) =>
    one.kind === 'closure'
      ? []
      : [{ machine: one.machine.metadata.name, message: one.kind === 'failure' ? one.message : 'not built yet' }],
  );
  const built = found.flatMap((one) => (one.kind === 'closure' ? [{ machine: one.machine, to: one.closure }] : []));
  const moving = built.filter(({ machine, to }) => currentOf(machine) !== to);
  const groups = Map.groupBy(moving, ({ machine, to }) => `${currentOf(machine) ?? ''} ${to}`);
  const pairs = [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const names = group.map(({ machine }) => machine.metadata.name).sort();
    return [{ from: currentOf(first.machine), to: first.to, machines: names }];
  });
  const byName = (a: Pair, b: Pair) => ((a.machines[0] ?? '') < (b.machines[0] ?? '') ? -1 : 1);
  const sorted = pairs.sort((a, b) => b.machines.length - a.machines.length || byName(a, b));
  return { revision, pairs: sorted, same: built.length - moving.length, notBuilt };
}

const currentOf = ({ status }: NixMachine): string | undefined => status?.current?.closure;

/** What one pair differs in; what can't be had is said, not guessed. */
export type Difference = Pair & {
  readonly closure: ClosureDifference | undefined;
  readonly system: SystemDifference | undefined;
  readonly unknown: readonly string[];
};

/** Compares the closures of a pair as the cache describes them. */
export async function differenceOf(pair: Pair, files: StoreFiles): Promise<Difference> {
  const next = await closureOf(pair.to, files);
  if (pair.from === undefined) {
    return { ...pair, closure: undefined, system: undefined, unknown: ['what they run now is not known yet'] };
  }
  const old = await closureOf(pair.from, files);
  if (old.paths.size === 0) return { ...pair, closure: undefined, system: undefined, unknown: [unbuilt(pair, next)] };
  const missing = [...old.missing, ...next.missing];
  const some = missing.length > 1 ? ` and ${missing.length - 1} more paths` : '';
  const unknown =
    missing.length === 0 ? [] : [`${missing[0]}${some} are not in the cache: the difference is not whole`];
  const isHere = old.paths.size > 0 && next.paths.size > 0;
  const system = isHere ? await systemDifference(pair.from, pair.to, files) : undefined;
  return {
    ...pair,
    closure: isHere ? closureDifference(old.paths, next.paths) : undefined,
    system,
    unknown: [...unknown, ...(system?.unknown ?? [])],
  };
}

/** What a machine runs that was installed by hand, or before this cache: there is nothing to compare with. */
function unbuilt({ from, to, machines }: Pair, next: Closure): string {
  const bytes = [...next.paths.values()].reduce((sum, { fileSize, narSize }) => sum + (fileSize ?? narSize), 0);
  const most = next.paths.size === 0 ? '' : `; at most ${spokenBytes(bytes)} in ${next.paths.size} paths are fetched`;
  const who = machines.length === 1 ? 'it runs' : 'they run';
  return `what ${who}, ${from}, is not in the cache: Floe did not build it, as after an installation by hand, or the cache has lost it${most}. Once the new closure is fetched, compare on the machine: nix store diff-closures /run/current-system ${to}`;
}

/** Lookups that run at once. */
const CONCURRENCY = 24;

type Closure = { readonly paths: Map<string, Narinfo>; readonly missing: string[] };

/** All paths of a closure, by references, some at a time. */
async function closureOf(root: string, files: StoreFiles): Promise<Closure> {
  const closure: Closure = { paths: new Map(), missing: [] };
  const seen = new Set([root]);
  const waiting = [root];
  while (waiting.length > 0) {
    const part = waiting.splice(0, CONCURRENCY);
    const infos = await Promise.all(part.map(async (path) => ({ path, info: await files.narinfo(path) })));
    for (const { path, info } of infos) {
      if (info === undefined) closure.missing.push(path);
      else closure.paths.set(path, info);
      const fresh = (info?.references ?? []).filter((reference) => !seen.has(reference));
      for (const reference of fresh) seen.add(reference);
      waiting.push(...fresh);
    }
  }
  return closure;
}
