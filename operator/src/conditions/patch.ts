// Makes the one status write of a change to a machine: the changed parts and the conditions that follow from them.
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { deriveConditions } from './derive.ts';
import { mergePatchOf } from './merge-patch.ts';
import { withoutTimes } from './presence.ts';

/** Parts of the status to write; a part that is undefined is removed. */
export type StatusChanges = {
  readonly [K in Exclude<keyof NixMachineStatus, 'conditions'>]?: NixMachineStatus[K] | undefined;
};

/** Body of a merge patch on the status subresource; refused by the API server when the machine has changed since. */
export type StatusPatch = {
  readonly metadata: { readonly resourceVersion?: string };
  readonly status: Readonly<Record<string, unknown>>;
};

export type StatusWrite = {
  readonly patch: StatusPatch;
  /** The machine as it will be, with the resourceVersion that it had. */
  readonly next: NixMachine;
};

/**
 * The merge patch that brings `changes` and the conditions they lead to into the status of `machine`, or undefined when
 * that changes nothing. The patch carries the resourceVersion of `machine`: a lost race is a 409, never an overwrite.
 * `observedGeneration` is raised only by who passes it: the machine's reconciler, once it has looked at the spec.
 */
export function statusPatch(machine: NixMachine, changes: StatusChanges, now: Date): StatusWrite | undefined {
  const before = machine.status ?? {};
  const all = Object.fromEntries(
    Object.entries({ ...before, ...changes }).filter(([, part]) => part !== undefined),
  ) as NixMachineStatus;
  const merged = withoutTimes(machine, all);
  const conditions = deriveConditions({ ...machine, status: merged }, now);
  const next: NixMachine = { ...machine, status: { ...merged, conditions } };
  const status = mergePatchOf(before, next.status);
  if (status === undefined) return undefined;
  const { resourceVersion } = machine.metadata;
  return {
    patch: {
      metadata: resourceVersion === undefined ? {} : { resourceVersion },
      status: status as Readonly<Record<string, unknown>>,
    },
    next,
  };
}
