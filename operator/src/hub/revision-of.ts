// Finds the revision that a closure belongs to on a machine.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';

/**
 * The revision for which `closure` was built for this machine, or undefined where Floe does not know it. One closure
 * may belong to several revisions: what the machine was told counts first, then what it had, then the newest record.
 * `records` are those of the machine's config; they are asked for only when the status does not know.
 */
export function revisionOf(
  machine: NixMachine,
  closure: string,
  records: () => readonly ControllerRevision[],
): string | undefined {
  const { desired, attempt, current, bootDefault, booted } = machine.status ?? {};
  if (desired?.closure === closure) return desired.revision;
  if (attempt?.to === closure && attempt.revision !== undefined) return attempt.revision;
  for (const running of [current, bootDefault, booted]) {
    if (running?.closure === closure && running.revision !== undefined) return running.revision;
  }
  let newest: ControllerRevision | undefined;
  for (const record of records()) {
    if ((newest === undefined || record.revision > newest.revision) && holds(record, machine.metadata.name, closure)) {
      newest = record;
    }
  }
  return newest?.data?.revision;
}

function holds({ data }: ControllerRevision, machine: string, closure: string): boolean {
  if (data === undefined) return false;
  return (Object.hasOwn(data.machines, machine) ? data.machines[machine] : data.default) === closure;
}
