// The shared stores that the rollout reconciler reads, and the index that it needs in them.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { Store } from '../kube/store.ts';

/**
 * Filled by reflectors that the caller runs. All but nixConfigs have an index `config`: objects by `namespace/name` of the
 * NixConfig that they name. Rollouts have an index `namespace` besides.
 */
export type RolloutStores = {
  readonly nixConfigs: Store<NixConfig>;
  readonly nixMachines: Store<NixMachine>;
  readonly controllerRevisions: Store<ControllerRevision>;
  readonly rollouts: Store<Rollout>;
};

/** Name of the index. */
export const BY_CONFIG = 'config';

/** Name of the index of Rollouts by their namespace. */
export const BY_NAMESPACE = 'namespace';

/** Value of the index for the config that a machine or a Rollout names; undefined where it names none. */
export function configKey({ metadata, spec }: Pick<NixMachine | Rollout, 'metadata' | 'spec'>): string | undefined {
  // An old API server lets through what the schema forbids.
  const name = (spec as { configRef?: { name?: unknown } } | undefined)?.configRef?.name;
  return typeof name === 'string' ? `${metadata.namespace ?? ''}/${name}` : undefined;
}
