// Says which changes wake the reconciler of which Rollout.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { keyOf, parseKey } from '../kube/object.ts';
import type { Priority, WorkQueue } from '../kube/queue.ts';
import type { Delta } from '../kube/store.ts';
import { isAvailable, isRebooting } from './facts.ts';
import { hasSharedBudget } from './group-budgets.ts';
import type { Observer } from './observe.ts';
import { selects } from './ownership.ts';
import type { Plan } from './plan-result.ts';
import { BY_CONFIG, BY_NAMESPACE, configKey, type RolloutStores } from './stores.ts';

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
  /** Rollouts that wait for a slot of a budget of the namespace, which machines of others may hold. */
  readonly #waiting = new Set<string>();

  constructor(stores: RolloutStores, queue: WorkQueue, observer: Observer) {
    this.#stores = stores;
    this.#queue = queue;
    this.#observer = observer;
  }

  /** Takes note of a plan: how long it took, and whether it waits for machines of others. */
  planned(key: string, seconds: number, { hold, rebootsWaiting }: Pick<Plan, 'hold' | 'rebootsWaiting'>): void {
    this.#planSeconds.set(key, seconds);
    if (rebootsWaiting > 0 || hold.some(({ reason }) => reason === 'GroupBudgetFull')) this.#waiting.add(key);
    else this.#waiting.delete(key);
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
    if (type === 'deleted') {
      this.#planSeconds.delete(key);
      this.#waiting.delete(key);
    }
    if (old === undefined || type === 'deleted' || hasMoved(old, object)) this.#wakeDependents(object, initial);
    if (old !== undefined && type !== 'deleted' && !isEdited(old, object)) return;
    // Its budgets bind all of the namespace.
    if (hasSharedBudget(old === undefined ? [object] : [object, old])) {
      this.#wakeNamespace(object.metadata.namespace ?? '', () => true);
    }
    this.#queue.add(key, { priority: priorityOf(initial) });
    for (const config of new Set([configKey(object), old && configKey(old)])) {
      if (config === undefined) continue;
      this.#wakeAll(config, 'relist');
      if (this.#stores.rollouts.by(BY_CONFIG, config).length === 0) this.#observer.forget(config);
    }
  }

  #machineChanged({ old, object, initial }: Delta<NixMachine>): void {
    const machines = old === undefined ? [object] : [object, old];
    const keys = new Set([...machines.flatMap((machine) => this.#movers(machine)), ...this.#waitersFor(old, object)]);
    for (const key of keys) {
      const seconds = Math.max(GATHER_SECONDS, SHARE * (this.#planSeconds.get(key) ?? 0));
      this.#queue.addAfter(key, seconds, { priority: priorityOf(initial) });
    }
  }

  /** Rollouts that a machine's news are for. */
  #movers(machine: NixMachine): string[] {
    const config = configKey(machine);
    if (config === undefined) return [];
    const isGone = machine.metadata.deletionTimestamp !== undefined;
    return this.#stores.rollouts
      .by(BY_CONFIG, config)
      .filter((rollout) => selects(rollout, machine) || isGone)
      .map(keyOf);
  }

  /** Rollouts of the namespace that wait for a slot which the machine may have held. */
  #waitersFor(old: NixMachine | undefined, machine: NixMachine): string[] {
    if (this.#waiting.size === 0 || !mayFreeSlot(old, machine)) return [];
    return [...this.#waiting].filter((key) => parseKey(key).namespace === machine.metadata.namespace);
  }

  #configChanged({ type, key, old, object, initial }: Delta<NixConfig>): void {
    if (type === 'updated' && old !== undefined && !isOfInterest(old, object)) return;
    this.#wakeAll(key, priorityOf(initial));
    // Who goes after those Rollouts waits for the newest revision of this config.
    for (const rollout of this.#stores.rollouts.by(BY_CONFIG, key)) this.#wakeDependents(rollout, initial);
  }

  /** Wakes those that go after a Rollout. */
  #wakeDependents({ metadata: { name, namespace = '' } }: Rollout, initial: boolean): void {
    const isAfter = ({ spec }: Rollout) => (spec.dependsOn ?? []).some((before) => before.name === name);
    this.#wakeNamespace(namespace, isAfter, initial);
  }

  #wakeNamespace(namespace: string, isMeant: (rollout: Rollout) => boolean, initial = false): void {
    for (const rollout of this.#stores.rollouts.by(BY_NAMESPACE, namespace)) {
      if (isMeant(rollout)) this.#queue.add(keyOf(rollout), { priority: priorityOf(initial) });
    }
  }

  #wakeAll(config: string, priority: Priority): void {
    for (const rollout of this.#stores.rollouts.by(BY_CONFIG, config)) this.#queue.add(keyOf(rollout), { priority });
  }
}

/** Whether a machine that was unavailable is not any more, or left its group, or joined one that is larger now. */
function mayFreeSlot(old: NixMachine | undefined, machine: NixMachine): boolean {
  if (old === undefined || machine.metadata.deletionTimestamp !== undefined) return true;
  if (JSON.stringify(old.metadata.labels) !== JSON.stringify(machine.metadata.labels)) return true;
  const isBack = !isAvailable(old) && isAvailable(machine);
  return isBack || (isRebooting(old) && !isRebooting(machine));
}

/** Whether a Rollout that others may wait for has come further. */
function hasMoved({ status: before, spec }: Rollout, { status: after, spec: now }: Rollout): boolean {
  return (
    before?.phase !== after?.phase ||
    before?.revision !== after?.revision ||
    before?.observedGeneration !== after?.observedGeneration ||
    spec.configRef?.name !== now.configRef?.name
  );
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
    before.status?.build?.revision !== after.status?.build?.revision ||
    before.status?.observedGeneration !== after.status?.observedGeneration ||
    before.metadata.generation !== after.metadata.generation ||
    before.spec.suspend !== after.spec.suspend ||
    before.spec.delivery !== after.spec.delivery
  );
}
