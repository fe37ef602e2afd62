// Machines of a namespace by group of a budget: how many there are, which are unavailable, which restart.
import type { DisruptionBudget } from '@floe/crds/budget';
import type { NixMachine } from '@floe/crds/nix-machine';
import { selects } from '../conditions/label-selector.ts';
import { isAvailable, isRebooting } from './facts.ts';

/** Which machines a budget is about, and how they are grouped. */
export type Grouping = Pick<DisruptionBudget, 'selector' | 'groupBy'>;

/** All machines of the namespace in one group. */
export const EVERYONE: Grouping = {};

export type Group = { readonly total: number; readonly unavailable: ReadonlySet<string>; readonly rebooting: number };

/** Groups by the value of their label; the key is empty where the budget has no `groupBy`. */
export type Groups = ReadonlyMap<string, Group>;

/** What a snapshot knows of the machines of the namespace that it does not bring. */
export type Neighbours = { readonly groups: (grouping: Grouping) => readonly Groups[] };

/** The group of a machine; undefined: the budget is not about it. One that is being deleted has left. */
export function groupOf({ selector, groupBy }: Grouping, { metadata }: NixMachine): string | undefined {
  if (metadata.deletionTimestamp !== undefined || !selects(selector, metadata.labels)) return undefined;
  return groupBy === undefined ? '' : metadata.labels?.[groupBy];
}

type Entry = { total: number; readonly unavailable: Set<string>; rebooting: number };

/** Groups that machines are added to and taken from. */
export class Tally {
  readonly #grouping: Grouping;
  readonly #groups = new Map<string, Entry>();

  constructor(grouping: Grouping) {
    this.#grouping = grouping;
  }

  get groups(): Groups {
    return this.#groups;
  }

  add(machine: NixMachine): void {
    this.#change(machine, 1);
  }

  remove(machine: NixMachine): void {
    this.#change(machine, -1);
  }

  /** Adds what is known of other machines. */
  merge(groups: Groups): void {
    for (const [key, { total, unavailable, rebooting }] of groups) {
      const entry = this.#entry(key);
      entry.total += total;
      entry.rebooting += rebooting;
      for (const name of unavailable) entry.unavailable.add(name);
    }
  }

  #change(machine: NixMachine, by: 1 | -1): void {
    const key = groupOf(this.#grouping, machine);
    if (key === undefined) return;
    const entry = this.#entry(key);
    entry.total += by;
    if (isRebooting(machine)) entry.rebooting += by;
    if (by < 0 || isAvailable(machine)) entry.unavailable.delete(machine.metadata.name);
    else entry.unavailable.add(machine.metadata.name);
    if (entry.total === 0) this.#groups.delete(key);
  }

  #entry(key: string): Entry {
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const entry: Entry = { total: 0, unavailable: new Set(), rebooting: 0 };
    this.#groups.set(key, entry);
    return entry;
  }
}
