// The shared stores that the machine reconciler reads.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { Lease } from '../kube/builtin.ts';
import type { Store } from '../kube/store.ts';

/**
 * Filled by reflectors that the caller runs. Machines and records have the indexes of conditions/indexes.ts; Rollouts
 * have an index `config` by `namespace/name` of their NixConfig; `leases` are those of the operator's namespace.
 */
export type MachineStores = {
  readonly nixMachines: Store<NixMachine>;
  readonly nixConfigs: Store<NixConfig>;
  readonly rollouts: Store<Rollout>;
  readonly controllerRevisions: Store<ControllerRevision>;
  readonly leases: Store<Lease>;
};
