// The shared stores that the NixConfig reconciler reads, and the indexes that it needs in them.
import { LABEL_CONFIG } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { Job, Pod } from '../kube/builtin.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Store } from '../kube/store.ts';

/**
 * Filled by reflectors that the caller runs; those of jobs, pods and controllerRevisions may be limited to objects with
 * the label floe.dev/config. All but nixConfigs have an index `config`: machines, Rollouts and records by
 * `namespace/name` of the config that they name, Jobs and pods as `jobIndexes` and `podIndexes` say.
 */
export type ConfigStores = {
  readonly nixConfigs: Store<NixConfig>;
  readonly nixMachines: Store<NixMachine>;
  readonly jobs: Store<Job>;
  readonly pods: Store<Pod>;
  readonly controllerRevisions: Store<ControllerRevision>;
  readonly rollouts: Store<Rollout>;
};

/** Name of the index in each of them. */
export const BY_CONFIG = 'config';

/** Indexes of the store of build Jobs: `namespace/value` of the label floe.dev/config. */
export const jobIndexes = { [BY_CONFIG]: (job: Job): readonly string[] => byLabel(job) } as const;

/** Indexes of the store of pods of build Jobs, the same. */
export const podIndexes = { [BY_CONFIG]: (pod: Pod): readonly string[] => byLabel(pod) } as const;

/** Indexes of the store of Rollouts: `namespace/name` of their NixConfig, and their namespace. */
export const rolloutIndexes = {
  [BY_CONFIG]: ({ metadata, spec }: Rollout): readonly string[] => {
    // An old API server lets through what the schema forbids.
    const name = (spec as { configRef?: { name?: unknown } } | undefined)?.configRef?.name;
    return typeof name === 'string' ? [`${metadata.namespace ?? ''}/${name}`] : [];
  },
  namespace: ({ metadata }: Rollout): readonly string[] => [metadata.namespace ?? ''],
} as const;

function byLabel({ metadata }: KubeObject): readonly string[] {
  const config = metadata.labels?.[LABEL_CONFIG];
  return config === undefined ? [] : [`${metadata.namespace ?? ''}/${config}`];
}
