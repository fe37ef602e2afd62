// Says which changes wake the reconciler of which Rollout.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { keyOf } from '../kube/object.ts';
import type { Priority, WorkQueue } from '../kube/queue.ts';
import type { Delta } from '../kube/store.ts';
import type { Observer } from './observe.ts';
import { selects } from './ownership.ts';
import { BY_CONFIG, configKey, type RolloutStores } from './stores.ts';

/** Machines report in crowds: their news is gathered for so long before a Rollout is planned, in seconds. */
const GATHER_SECONDS = 0.1;
/** Planning takes at most so large a part of the time: a fifth. */
const SHARE = 5;

/** Wakes Rollouts; how long it gathers news follows from how long planning takes. */
export class Waker {
  readonly #stores: RolloutStores;
  readonly #queue: WorkQueue;
  readonly #observer: Observer;
  readonly #planSeconds = new Map<string, number>();

  constructor(stores: RolloutStores, queue: WorkQueue, observer: Observer) {
    this.#stores = stores;
    this.#queue = queue;
    this.#observer = observer;
  }

  /** Takes note of how long planning a Rollout took. */
  planned(key: string, seconds: number): void {
    this.#planSeconds.set(key, seconds);
  }

  /** Enqueues every Rollout there is, and from then on those to which a change matters. Returns how to end that. */
  start(): () => void {
    const { rollouts, nixMachines, nixConfigs, controllerRevisions } = this.#stores;
    for (const key of rollouts.keys()) this.#queue.add(key, { priority: 'relist' });
    const ends = [
      rollouts.subscribe((delta) => this.#rolloutChanged(delta)),
      nixMachines.subscribe((delta) => this.#machineChanged(delta)),
      nixConfigs.subscribe((delta) => this.#configChanged(delta)),
      controllerRevisions.subscribe(({ object, initial }) => {
        const config = object.data?.config;
        if (config !== undefined) this.#wakeAll(`${object.metadata.namespace ?? ''}/${config}`, priorityOf(initial));
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** An edit wakes at once. Who owns which machines may change for the Rollouts beside it. */
  #rolloutChanged({ type, key, old, object, initial }: Delta<Rollout>): void {
    if (type === 'deleted') this.#planSeconds.delete(key);
    if (old !== undefined && type !== 'deleted' && !isEdited(old, object)) return;
    this.#queue.add(key, { priority: priorityOf(initial) });
    for (const config of new Set([configKey(object), old && configKey(old)])) {
      if (config === undefined) continue;
      this.#wakeAll(config, 'relist');
      if (this.#stores.rollouts.by(BY_CONFIG, config).length === 0) this.#observer.forget(config);
    }
  }

  #machineChanged({ old, object, initial }: Delta<NixMachine>): void {
    const keys = new Set<string>();
    for (const machine of old === undefined ? [object] : [object, old]) {
      const config = configKey(machine);
      if (config === undefined) continue;
      for (const rollout of this.#stores.rollouts.by(BY_CONFIG, config)) {
        if (selects(rollout, machine) || machine.metadata.deletionTimestamp !== undefined) keys.add(keyOf(rollout));
      }
    }
    for (const key of keys) {
      const seconds = Math.max(GATHER_SECONDS, SHARE * (this.#planSeconds.get(key) ?? 0));
      this.#queue.addAfter(key, seconds, { priority: priorityOf(initial) });
    }
  }

  #configChanged({ type, key, old, object, initial }: Delta<NixConfig>): void {
    if (type === 'updated' && old !== undefined && !isOfInterest(old, object)) return;
    this.#wakeAll(key, priorityOf(initial));
  }

  #wakeAll(config: string, priority: Priority): void {
    for (const rollout of this.#stores.rollouts.by(BY_CONFIG, config)) this.#queue.add(keyOf(rollout), { priority });
  }
}

function priorityOf(initial: boolean): Priority {
  return initial ? 'relist' : 'user';
}

/** The reconciler's own status writes wake nobody. */
function isEdited({ metadata: before }: Rollout, { metadata: after }: Rollout): boolean {
  return (
    before.uid !== after.uid ||
    before.generation !== after.generation ||
    before.deletionTimestamp !== after.deletionTimestamp ||
    JSON.stringify(before.annotations) !== JSON.stringify(after.annotations)
  );
}

/** What a Rollout reads of its config: which revision is built, how far the build is, and the delivery. */
function isOfInterest(before: NixConfig, after: NixConfig): boolean {
  return (
    before.status?.revision?.id !== after.status?.revision?.id ||
    before.status?.build?.phase !== after.status?.build?.phase ||
    before.spec.delivery !== after.spec.delivery
  );
}
