// Reads what a revision holds for a machine, laying the records of a revision over each other once for all its machines.
import type { NixConfig } from '@floe/crds/nix-config';
import { type MachineClosure, type RevisionClosures, revisionClosures } from '@floe/crds/revision-closures';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { keyOf } from '../kube/object.ts';

/** Holds one revision per config: the newest. */
export class ClosureReader {
  readonly #byConfig = new Map<
    string,
    { readonly records: readonly ControllerRevision[]; readonly closures: RevisionClosures }
  >();

  /** What the newest revision of `config` holds for a machine; `records` are all records of the config. */
  read(config: NixConfig, records: readonly ControllerRevision[], machine: string): MachineClosure {
    const revision = config.status?.revision?.id;
    if (revision === undefined) return { kind: 'none' };
    const current = records.filter((record) => record.data?.revision === revision);
    const key = keyOf(config);
    const known = this.#byConfig.get(key);
    // Records never change: the same objects are the same content.
    if (known?.records.length === current.length && current.every((record, index) => record === known.records[index])) {
      return known.closures.of(machine);
    }
    const closures = revisionClosures(current);
    this.#byConfig.set(key, { records: current, closures });
    return closures.of(machine);
  }

  /** Forgets a config that was deleted. */
  forget(configKey: string): void {
    this.#byConfig.delete(configKey);
  }
}
