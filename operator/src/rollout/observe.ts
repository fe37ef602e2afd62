// Makes the planner's snapshot out of the stores.
import type { NixConfig } from '@floe/crds/nix-config';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import { Census } from './census.ts';
import { type Closures, closuresOf } from './closures.ts';
import { groupingsOf } from './group-budgets.ts';
import type { Snapshot } from './snapshot.ts';
import { BY_CONFIG, BY_NAMESPACE, configKey, type RolloutStores } from './stores.ts';

/** Reads snapshots; what it makes of the records of a config is kept until one of them changes. */
export class Observer {
  readonly #stores: RolloutStores;
  readonly #closures = new Map<string, { records: ReadonlySet<ControllerRevision>; closures: Closures }>();
  readonly #census: Census;

  constructor(stores: RolloutStores) {
    this.#stores = stores;
    this.#census = new Census(stores.nixMachines);
  }

  /** Ends what follows the stores. */
  close(): void {
    this.#census.close();
  }

  /** The snapshot of a Rollout; all that names no config is empty for one that names none. */
  snapshot(rollout: Rollout): Snapshot {
    const { nixConfigs, nixMachines, rollouts } = this.#stores;
    const key = configKey(rollout);
    if (key === undefined)
      return { rollout, rollouts: [], config: undefined, machines: [], closures: closuresOf([], '', 'unknown') };
    const namespace = rollout.metadata.namespace ?? '';
    const all = rollouts.by(BY_NAMESPACE, namespace);
    this.#census.keepOnly(namespace, groupingsOf(all));
    return {
      rollout,
      rollouts: all,
      config: nixConfigs.get(key),
      configs: this.#configsBefore(rollout, all),
      machines: nixMachines.by(BY_CONFIG, key),
      neighbours: this.#census.neighbours(namespace, key),
      watches: true,
      closures: this.#closuresOf(key),
    };
  }

  /** The configs of the Rollouts that go first. */
  #configsBefore({ spec }: Rollout, rollouts: readonly Rollout[]): NixConfig[] {
    const before = new Set((spec.dependsOn ?? []).map(({ name }) => name));
    if (before.size === 0) return [];
    const keys = new Set(rollouts.filter(({ metadata }) => before.has(metadata.name)).map(configKey));
    return [...keys].flatMap((key) => (key === undefined ? [] : (this.#stores.nixConfigs.get(key) ?? [])));
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
