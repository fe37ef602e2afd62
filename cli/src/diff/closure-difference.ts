// What differs between two closures: packages by name and version, their size, and what is to be fetched.
import type { Narinfo } from '@floe/operator/nix/narinfo';
import { plainName } from '@floe/operator/nix/store-path';

export type PackageChange = {
  readonly name: string;
  /** Versions before and after, sorted; empty: it was not there, or is there no more. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** Uncompressed bytes after less those before. */
  readonly bytes: number;
};

export type ClosureDifference = {
  /** Packages that were added, removed or have other versions, by name. */
  readonly packages: readonly PackageChange[];
  /** Paths of packages with the same versions that were built anew. */
  readonly rebuilt: number;
  /** Uncompressed bytes after less those before. */
  readonly bytes: number;
  /** Bytes of the new paths as they lie in the cache, and how many paths those are. */
  readonly fetch: { readonly bytes: number; readonly paths: number };
};

type Closure = ReadonlyMap<string, Narinfo>;

/** Compares two closures: all their paths, with their narinfo. */
export function closureDifference(before: Closure, after: Closure): ClosureDifference {
  const gone = [...before.values()].filter(({ storePath }) => !after.has(storePath));
  const added = [...after.values()].filter(({ storePath }) => !before.has(storePath));
  const old = byPackage(before.values());
  const next = byPackage(after.values());
  const touched = new Set([...gone, ...added].map(({ storePath }) => packageOf(storePath).name));
  const changes = [...touched].sort().map((name) => changeOf(name, old.get(name), next.get(name)));
  const isSame = ({ before: a, after: b }: PackageChange) => JSON.stringify(a) === JSON.stringify(b);
  const unchanged = new Set(changes.filter(isSame).map(({ name }) => name));
  return {
    packages: changes.filter((change) => !isSame(change) && !UNIT.test(change.name)),
    rebuilt: added.filter(({ storePath }) => unchanged.has(packageOf(storePath).name)).length,
    bytes:
      sum([...after.values()].map(({ narSize }) => narSize)) - sum([...before.values()].map(({ narSize }) => narSize)),
    fetch: { bytes: sum(added.map(({ fileSize, narSize }) => fileSize ?? narSize)), paths: added.length },
  };
}

/** Files of units, as NixOS builds them: no packages to a person. */
const UNIT = /^unit-.*\.[a-z]+$/;

type Package = { readonly versions: Set<string>; bytes: number };

function byPackage(paths: Iterable<Narinfo>): Map<string, Package> {
  const found = new Map<string, Package>();
  for (const { storePath, narSize } of paths) {
    const { name, version } = packageOf(storePath);
    const known = found.get(name) ?? { versions: new Set(), bytes: 0 };
    known.versions.add(version);
    known.bytes += narSize;
    found.set(name, known);
  }
  return found;
}

function changeOf(name: string, before: Package | undefined, after: Package | undefined): PackageChange {
  const versions = (one: Package | undefined) => [...(one?.versions ?? [])].sort();
  return { name, before: versions(before), after: versions(after), bytes: (after?.bytes ?? 0) - (before?.bytes ?? 0) };
}

/** Outputs of one package that say nothing of its version. */
const OUTPUTS = /-(bin|dev|doc|lib|man|out|data|info|terminfo|getent)$/;

/** Name and version of a path, split as Nix does: at the first dash that no letter follows. */
export function packageOf(storePath: string): { readonly name: string; readonly version: string } {
  const full = plainName(storePath);
  const at = full.search(/-[^a-zA-Z/]/);
  if (at <= 0) return { name: full, version: '' };
  return { name: full.slice(0, at), version: full.slice(at + 1).replace(OUTPUTS, '') };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
