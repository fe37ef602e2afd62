// Whether the shared fleet is as a scenario may begin with it: everyone runs and boots one good revision.
import type { NixMachine } from '@floe/crds/nix-machine';
import { condition, type Fleet } from './observe.ts';

function isSettled(machine: NixMachine, revision: string): boolean {
  const { status, spec } = machine;
  return (
    spec.configRef.name === 'fleet' &&
    status?.desired?.revision === revision &&
    status.current?.closure === status.desired.closure &&
    status.bootDefault?.closure === status.desired.closure &&
    condition(machine, 'Ready')?.status === 'True'
  );
}

/** Whether everyone runs and boots the stable revision of the shared fleet, and it is `revision` where one is given. */
export function isGood(fleet: Fleet, machines: number, revision?: string): boolean {
  const rollout = fleet.rollouts.find(({ metadata }) => metadata.name === 'fleet');
  const { phase, stableRevision } = rollout?.status ?? {};
  if (phase !== 'Completed' || stableRevision === undefined) return false;
  if (revision !== undefined && stableRevision !== revision) return false;
  return fleet.machines.filter((machine) => isSettled(machine, stableRevision)).length === machines;
}
