// Counts the machines of namespaces by the groups of budgets, kept up to date change by change.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Store } from '../kube/store.ts';
import { configKey } from './stores.ts';
import { type Grouping, type Neighbours, Tally } from './tally.ts';

/** Tallies of one grouping in one namespace, by `namespace/name` of the machines' config. */
type ByConfig = Map<string, Tally>;

/** What a machine without a readable config is filed under. */
const NONE = '';

/**
 * Knows the machines of a namespace that are of other configs, for the budgets that are asked for. The first question
 * about a budget reads all machines; from then on each change touches that machine alone.
 */
export class Census {
  readonly #store: Store<NixMachine>;
  /** By namespace, then by grouping as JSON. */
  readonly #namespaces = new Map<string, Map<string, { readonly grouping: Grouping; readonly tallies: ByConfig }>>();
  readonly #end: () => void;

  constructor(store: Store<NixMachine>) {
    this.#store = store;
    this.#end = store.subscribe(({ type, old, object }) => {
      if (old !== undefined) this.#change(old, 'remove');
      if (type !== 'deleted') this.#change(object, 'add');
    });
  }

  /** The machines of `namespace` that are of another config than `config` (`namespace/name`). */
  neighbours(namespace: string, config: string): Neighbours {
    return {
      groups: (grouping) =>
        [...this.#tallies(namespace, grouping)].filter(([of]) => of !== config).map(([, { groups }]) => groups),
    };
  }

  /** Forgets what no budget of the namespace asks for any more. */
  keepOnly(namespace: string, groupings: readonly Grouping[]): void {
    const known = this.#namespaces.get(namespace);
    if (known === undefined) return;
    const kept = new Set(groupings.map(keyOf));
    for (const key of known.keys()) if (!kept.has(key)) known.delete(key);
    if (known.size === 0) this.#namespaces.delete(namespace);
  }

  /** Ends the subscription to the store. */
  close(): void {
    this.#end();
    this.#namespaces.clear();
  }

  #tallies(namespace: string, grouping: Grouping): ByConfig {
    const known = this.#namespaces.get(namespace) ?? new Map();
    this.#namespaces.set(namespace, known);
    const key = keyOf(grouping);
    const found = known.get(key);
    if (found !== undefined) return found.tallies;
    const entry = { grouping, tallies: new Map<string, Tally>() };
    known.set(key, entry);
    for (const machine of this.#store.list()) {
      if ((machine.metadata.namespace ?? '') === namespace) tallyOf(entry, machine).add(machine);
    }
    return entry.tallies;
  }

  #change(machine: NixMachine, what: 'add' | 'remove'): void {
    const known = this.#namespaces.get(machine.metadata.namespace ?? '');
    for (const entry of known?.values() ?? []) tallyOf(entry, machine)[what](machine);
  }
}

function tallyOf(
  { grouping, tallies }: { readonly grouping: Grouping; readonly tallies: ByConfig },
  machine: NixMachine,
): Tally {
  const config = configKey(machine) ?? NONE;
  const known = tallies.get(config);
  if (known !== undefined) return known;
  const tally = new Tally(grouping);
  tallies.set(config, tally);
  return tally;
}

function keyOf({ selector, groupBy }: Grouping): string {
  return JSON.stringify([selector ?? {}, groupBy ?? '']);
}
