// Makes the planner's snapshot out of the stores.
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import { type Closures, closuresOf } from './closures.ts';
import type { Snapshot } from './snapshot.ts';
import { BY_CONFIG, configKey, type RolloutStores } from './stores.ts';

/** Reads snapshots; what it makes of the records of a config is kept until one of them changes. */
export class Observer {
  readonly #stores: RolloutStores;
  readonly #closures = new Map<string, { records: ReadonlySet<ControllerRevision>; closures: Closures }>();

  constructor(stores: RolloutStores) {
    this.#stores = stores;
  }

  /** The snapshot of a Rollout; all that names no config is empty for one that names none. */
  snapshot(rollout: Rollout): Snapshot {
    const { nixConfigs, nixMachines, rollouts } = this.#stores;
    const key = configKey(rollout);
    if (key === undefined)
      return { rollout, rollouts: [], config: undefined, machines: [], closures: closuresOf([], '', 'unknown') };
    return {
      rollout,
      rollouts: rollouts.by(BY_CONFIG, key),
      config: nixConfigs.get(key),
      machines: nixMachines.by(BY_CONFIG, key),
      closures: this.#closuresOf(key),
    };
  }

  #closuresOf(key: string): Closures {
    const records = this.#stores.controllerRevisions.by(BY_CONFIG, key);
    const known = this.#closures.get(key);
    if (
      known !== undefined &&
      known.records.size === records.length &&
      records.every((record) => known.records.has(record))
    ) {
      return known.closures;
    }
    const closures = closuresOf(records, key.slice(key.indexOf('/') + 1), 'unknown');
    this.#closures.set(key, { records: new Set(records), closures });
    return closures;
  }

  /** Forgets the records of a config that no Rollout names any more. */
  forget(key: string): void {
    this.#closures.delete(key);
  }
}
