// Reads revision records: which closure each machine has in a revision, over all the records of that revision.
import type { ControllerRevision, RevisionRecord } from './revision-record.ts';

/** What a revision holds for one machine. */
export type MachineClosure =
  | { readonly kind: 'closure'; readonly closure: string; readonly attribute: string | undefined }
  | {
      readonly kind: 'failure';
      readonly stage: 'Evaluation' | 'Build';
      readonly message: string;
      readonly attribute: string | undefined;
    }
  | { readonly kind: 'none' };

/** All that is known of one revision; `none` of a machine means that it was never part of a build. */
export type RevisionClosures = {
  readonly of: (machine: string) => MachineClosure;
  /** The newest complete build that holds most machines: its words are those of the revision. */
  readonly main: RevisionRecord | undefined;
  /** The newest complete build, whatever it held. */
  readonly newest: RevisionRecord | undefined;
  /** Different closures over all builds. */
  readonly closures: number;
  /** Closure of every machine that no record names. */
  readonly default: string | undefined;
};

const NONE: MachineClosure = { kind: 'none' };

/**
 * Lays the records of one revision over each other: of two that name one machine, the one with the higher `revision`
 * number counts. A build of which parts are missing does not count at all. The order of the input never matters.
 */
export function revisionClosures(records: readonly ControllerRevision[]): RevisionClosures {
  const builds = completeBuilds(records);
  const byMachine = new Map<string, MachineClosure>();
  let common: string | undefined;
  for (const build of builds) {
    for (const { data } of build) {
      common = data.default ?? common;
      for (const [machine, closure] of Object.entries(data.machines)) {
        byMachine.set(machine, { kind: 'closure', closure, attribute: data.attributes?.[machine] });
      }
      for (const [machine, failure] of Object.entries(data.failures)) {
        byMachine.set(machine, { kind: 'failure', ...failure, attribute: data.attributes?.[machine] });
      }
    }
  }
  const shared: MachineClosure =
    common === undefined ? NONE : { kind: 'closure', closure: common, attribute: undefined };
  const closures = new Set(common === undefined ? [] : [common]);
  for (const found of byMachine.values()) if (found.kind === 'closure') closures.add(found.closure);
  return {
    of: (machine) => byMachine.get(machine) ?? shared,
    main: mainOf(builds),
    newest: builds.at(-1)?.[0]?.data,
    closures: closures.size,
    default: common,
  };
}

type Part = { readonly name: string; readonly number: number; readonly data: RevisionRecord };

/** Builds of which all parts are there, oldest first; names break ties so that the order is total. */
function completeBuilds(records: readonly ControllerRevision[]): Part[][] {
  const builds = new Map<string, Part[]>();
  for (const { metadata, revision, data } of records) {
    if (data === undefined) continue;
    // A Job that was made anew under the same name reports anew: the number tells the two apart.
    const key = `${data.job} ${revision}`;
    const parts = builds.get(key);
    const part = { name: metadata.name, number: revision, data };
    if (parts === undefined) builds.set(key, [part]);
    else parts.push(part);
  }
  return [...builds.values()]
    .filter((parts) => new Set(parts.map((part) => part.data.part)).size >= (parts[0]?.data.parts ?? 1))
    .map((parts) => parts.toSorted((a, b) => a.data.part - b.data.part || compare(a.name, b.name)))
    .toSorted((a, b) => (a[0]?.number ?? 0) - (b[0]?.number ?? 0) || compare(a[0]?.name ?? '', b[0]?.name ?? ''));
}

function mainOf(builds: readonly Part[][]): RevisionRecord | undefined {
  let main: { size: number; record: RevisionRecord } | undefined;
  for (const parts of builds) {
    const record = parts[0]?.data;
    if (record === undefined) continue;
    const size = parts.reduce(
      (sum, { data }) => sum + Object.keys(data.machines).length,
      record.default ? Infinity : 0,
    );
    if (main === undefined || size >= main.size) main = { size, record };
  }
  return main?.record;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
