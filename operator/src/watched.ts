// The stores that all parts of the operator share, and the reflectors that fill them: one watch per kind, however many readers.
import { LABEL_CONFIG } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { Logger } from 'pino';
import { machineIndexes, recordIndexes } from './conditions/indexes.ts';
import { jobIndexes, podIndexes, rolloutIndexes } from './config/stores.ts';
import type { Job, Lease, Pod } from './kube/builtin.ts';
import type { KubeClient } from './kube/client.ts';
import type { KubeMetrics } from './kube/metrics.ts';
import type { KubeObject } from './kube/object.ts';
import { Reflector, type ReflectorOptions } from './kube/reflector.ts';
import {
  controllerRevisions,
  jobs,
  leases,
  nixConfigs,
  nixMachines,
  pods,
  type Resource,
  rollouts,
} from './kube/resource.ts';
import { Store } from './kube/store.ts';

/** A store for each kind that is watched. */
export type Stores = {
  readonly nixConfigs: Store<NixConfig>;
  readonly nixMachines: Store<NixMachine>;
  readonly rollouts: Store<Rollout>;
  readonly controllerRevisions: Store<ControllerRevision>;
  /** Build Jobs. */
  readonly jobs: Store<Job>;
  /** Pods of build Jobs. */
  readonly pods: Store<Pod>;
  /** Leases of the operator's own namespace: the replicas of the hub. */
  readonly leases: Store<Lease>;
};

export type Watched = {
  readonly stores: Stores;
  /** Whether every store holds a complete list. */
  readonly isSynced: () => boolean;
  /** Fulfilled when every store holds a complete list. */
  readonly synced: Promise<void>;
  /** Watches until `signal` is aborted. */
  readonly run: (signal: AbortSignal) => Promise<void>;
};

export type WatchOptions = {
  readonly client: KubeClient;
  readonly log: Logger;
  readonly metrics: KubeMetrics;
  /** Namespace to watch; undefined: all. */
  readonly namespace: string | undefined;
  /** Namespace of the operator. */
  readonly ownNamespace: string;
};

function makeStores(): Stores {
  return {
    nixConfigs: new Store(),
    nixMachines: new Store({ indexes: machineIndexes }),
    // Who gave an order stands there.
    rollouts: new Store({ indexes: rolloutIndexes, managedFields: true }),
    controllerRevisions: new Store({ indexes: recordIndexes }),
    jobs: new Store({ indexes: jobIndexes }),
    pods: new Store({ indexes: podIndexes }),
    leases: new Store(),
  };
}

/** Makes the stores and what fills them; nothing is read before `run`. */
export function watch(options: WatchOptions): Watched {
  const { client, log, metrics, namespace, ownNamespace } = options;
  const stores = makeStores();
  const common = { client, log, metrics, namespace };
  const built = { ...common, labelSelector: LABEL_CONFIG };
  // The label is Floe's own: what carries it holds a record, and who reads one checks it.
  const records: Resource<ControllerRevision> = controllerRevisions as Resource<ControllerRevision>;
  const reflect = <T extends KubeObject>(given: ReflectorOptions<T>): Reflector<T> => new Reflector(given);
  const reflectors = [
    reflect({ ...common, resource: nixConfigs, store: stores.nixConfigs }),
    reflect({ ...common, resource: nixMachines, store: stores.nixMachines }),
    reflect({ ...common, resource: rollouts, store: stores.rollouts }),
    reflect({ ...built, resource: records, store: stores.controllerRevisions }),
    reflect({ ...built, resource: jobs, store: stores.jobs }),
    reflect({ ...built, resource: pods, store: stores.pods }),
    reflect({ ...common, namespace: ownNamespace, resource: leases, store: stores.leases }),
  ];
  return {
    stores,
    isSynced: () => reflectors.every((reflector) => reflector.hasSynced),
    synced: Promise.all(reflectors.map((reflector) => reflector.synced)).then(() => undefined),
    run: async (signal) => {
      await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
    },
  };
}
