// Which machines a Rollout moves: those it selects, less those that an older Rollout selects too.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { selects as matches } from '../conditions/label-selector.ts';
import { timeMs } from '../conditions/moment.ts';
import { compareText } from './order.ts';

/** The selected machines, parted by who moves them. */
export type Ownership = {
  readonly owned: readonly NixMachine[];
  /** Machines that are selected, but belong to an older Rollout. */
  readonly left: readonly { readonly machine: NixMachine; readonly owner: string }[];
};

/** Whether a Rollout selects a machine: of its config, by its labels, and not being deleted. */
export function selects(rollout: Rollout, machine: NixMachine): boolean {
  return (
    machine.spec.configRef.name === rollout.spec.configRef.name &&
    namespaceOf(machine) === namespaceOf(rollout) &&
    machine.metadata.deletionTimestamp === undefined &&
    matches(rollout.spec.selector, machine.metadata.labels)
  );
}

/** Parts the machines that `rollout` selects. Of two Rollouts the older, then the one with the lesser name, owns. */
export function ownership(rollout: Rollout, rollouts: readonly Rollout[], machines: readonly NixMachine[]): Ownership {
  const elders = rollouts
    .filter(
      (other) =>
        other.metadata.name !== rollout.metadata.name &&
        namespaceOf(other) === namespaceOf(rollout) &&
        other.metadata.deletionTimestamp === undefined &&
        other.spec.configRef.name === rollout.spec.configRef.name &&
        bySeniority(other, rollout) < 0,
    )
    .sort(bySeniority);
  const owned: NixMachine[] = [];
  const left: { machine: NixMachine; owner: string }[] = [];
  for (const machine of machines) {
    if (!selects(rollout, machine)) continue;
    const owner = elders.find((elder) => selects(elder, machine));
    if (owner === undefined) owned.push(machine);
    else left.push({ machine, owner: owner.metadata.name });
  }
  return { owned, left };
}

/** An object without a time of creation does not exist yet, so it is the youngest. */
function bySeniority(a: Rollout, b: Rollout): number {
  const [bornA, bornB] = [
    timeMs(a.metadata.creationTimestamp) ?? Infinity,
    timeMs(b.metadata.creationTimestamp) ?? Infinity,
  ];
  if (bornA !== bornB) return bornA < bornB ? -1 : 1;
  return compareText(a.metadata.name, b.metadata.name);
}

/** Manifests that were never applied may leave the namespace out. */
function namespaceOf({ metadata }: { metadata: { namespace?: string } }): string {
  return metadata.namespace ?? 'default';
}
