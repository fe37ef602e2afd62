// Which closure each machine has in a revision, looked up in the ControllerRevisions of a config.
import { type MachineClosure, revisionClosures } from '@floe/crds/revision-closures';
import type { ControllerRevision } from '@floe/crds/revision-record';

/** What a revision holds for a machine: its closure, why there is none, or that it was never built for it. */
export type Found =
  | { readonly kind: 'closure'; readonly closure: string }
  | { readonly kind: 'failure'; readonly message: string }
  | { readonly kind: 'none' };

/** A lookup of closures by revision. */
export type Closures = {
  /** Whether the build of a revision is known whole. */
  readonly knows: (revision: string) => boolean;
  readonly of: (revision: string, machine: string) => Found;
};

/** What to make of a revision without any record. */
export type WithoutRecord =
  /** The operator: the record will come; until then nothing is known. */
  | 'unknown'
  /** `floe plan`: every machine counts as built, with the closure `<revision>/<machine>`. */
  | 'built';

/** A lookup over the records of one config. Records are laid over each other on first use of their revision. */
export function closuresOf(records: readonly ControllerRevision[], config: string, without: WithoutRecord): Closures {
  const byRevision = Map.groupBy(
    records.filter((record) => record.data?.config === config),
    (record) => record.data?.revision ?? '',
  );
  const read = new Map<string, { of: (machine: string) => MachineClosure; known: boolean } | undefined>();
  const revision = (id: string) => {
    if (!read.has(id)) {
      const own = byRevision.get(id);
      const found = own === undefined ? undefined : revisionClosures(own);
      read.set(id, found === undefined ? undefined : { of: found.of, known: found.main !== undefined });
    }
    return read.get(id);
  };
  return {
    knows: (id) => revision(id)?.known ?? without === 'built',
    of: (id, machine) => {
      const found = revision(id)?.of(machine);
      if (found === undefined)
        return without === 'built' ? { kind: 'closure', closure: `${id}/${machine}` } : { kind: 'none' };
      if (found.kind === 'closure') return { kind: 'closure', closure: found.closure };
      return found.kind === 'failure' ? { kind: 'failure', message: found.message } : { kind: 'none' };
    },
  };
}
