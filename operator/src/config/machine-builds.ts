// Sorts the machines of a config by what a revision holds for them: built, failed, or still to be built.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { MachineClosure, RevisionClosures } from '@floe/crds/revision-closures';
import { machineAttribute, plainAttribute } from './attribute.ts';
import type { MachineRequest } from './build-task.ts';

export type MachineFailure = {
  readonly machine: string;
  readonly stage: 'Evaluation' | 'Build';
  readonly message: string;
};

/** All lists are sorted by name, so that the order of the input never shows. */
export type MachineBuilds = {
  readonly total: number;
  readonly built: readonly Built[];
  /** Failed in the revision's records; built again only when someone asks for it. */
  readonly failed: readonly (MachineFailure & { readonly request: MachineRequest })[];
  /** Can't be built at all as they are: a label is missing. */
  readonly unbuildable: readonly MachineFailure[];
  /** Not in the records, or there under another attribute. */
  readonly missing: readonly Missing[];
};

/** A machine that has a closure. */
export type Built = {
  readonly machine: NixMachine;
  readonly closure: string;
  readonly request: MachineRequest;
};

/** A machine that is still to be built. */
export type Missing = {
  readonly request: MachineRequest;
  /** When the NixMachine was made, in milliseconds since 1970; 0 where that is not known. */
  readonly createdAt: number;
};

/** Sorts machines that are not being deleted. `template` is the config's attribute. */
export function machineBuilds(
  template: string,
  machines: readonly NixMachine[],
  closures: RevisionClosures,
): MachineBuilds {
  const built: Built[] = [];
  const failed: (MachineFailure & { request: MachineRequest })[] = [];
  const unbuildable: MachineFailure[] = [];
  const missing: Missing[] = [];
  const present = machines
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const machine of present) {
    const { name } = machine.metadata;
    const result = machineAttribute(template, machine);
    if (result.kind === 'missing-label') {
      unbuildable.push({ machine: name, stage: 'Evaluation', message: missingLabel(result.label) });
      continue;
    }
    const { attribute } = result;
    const found = closures.of(name);
    if (found.kind === 'none' || builtAs(found, template, name) !== attribute) {
      missing.push({
        request: { name, attribute },
        createdAt: Date.parse(machine.metadata.creationTimestamp ?? '') || 0,
      });
    } else if (found.kind === 'closure') {
      built.push({ machine, closure: found.closure, request: { name, attribute } });
    } else failed.push({ machine: name, stage: found.stage, message: found.message, request: { name, attribute } });
  }
  return { total: present.length, built, failed, unbuildable, missing };
}

function builtAs(found: Exclude<MachineClosure, { kind: 'none' }>, template: string, name: string): string {
  return found.attribute ?? plainAttribute(template, name);
}

function missingLabel(label: string): string {
  return `the NixMachine has no label ${label}, which spec.attribute of its NixConfig asks for; add the label`;
}
