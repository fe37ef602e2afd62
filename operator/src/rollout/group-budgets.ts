// The budgets of a namespace: whether one more machine may become unavailable, over all Rollouts and configs.
import type { DisruptionBudget } from '@floe/crds/budget';
import type { Rollout } from '@floe/crds/rollout';
import { type Facts, isHealthy } from './facts.ts';
import { compareText } from './order.ts';
import { budgetLimit, parseSize } from './share.ts';
import type { Snapshot } from './snapshot.ts';
import { EVERYONE, type Grouping, groupOf, Tally } from './tally.ts';
import { names } from './wording.ts';

/** Why a machine waits. */
type Full = { readonly reason: 'GroupBudgetFull'; readonly message: string };

type Group = {
  readonly total: number;
  readonly limit: number;
  readonly unavailable: Set<string>;
  /** What a machine waits for, as long as nothing changes; thousands may wait for the same. */
  said: string | undefined;
};

type Kept = {
  readonly spec: DisruptionBudget;
  /** As messages name it. */
  readonly name: string;
  readonly groups: ReadonlyMap<string, Group>;
};

/**
 * Slots in the budgets of a namespace while one plan is made: who is told takes one in each budget that is about it.
 * A machine that is unavailable already takes none.
 */
export class GroupBudgets {
  readonly #budgets: readonly Kept[];

  constructor(budgets: readonly Kept[]) {
    this.#budgets = budgets;
  }

  /** Why the machine may not become unavailable now; undefined: it may. */
  whyNot(facts: Facts): Full | undefined {
    if (this.#budgets.length === 0 || !isHealthy(facts)) return undefined;
    for (const budget of this.#budgets) {
      const key = groupOf(budget.spec, facts.machine);
      const group = key === undefined ? undefined : budget.groups.get(key);
      if (key !== undefined && group !== undefined && group.unavailable.size >= group.limit) {
        group.said ??= fullMessage(budget, key, group);
        return { reason: 'GroupBudgetFull', message: group.said };
      }
    }
    return undefined;
  }

  /** Takes the slots of a machine that is told. */
  take(facts: Facts): void {
    for (const { spec, groups } of this.#budgets) {
      const key = groupOf(spec, facts.machine);
      const group = key === undefined ? undefined : groups.get(key);
      if (group === undefined) continue;
      group.unavailable.add(facts.name);
      group.said = undefined;
    }
  }
}

/**
 * The budgets of all Rollouts of the namespace: each binds every Rollout, whichever names it. What can't be read is left
 * out: an old API server lets through what the schema forbids.
 */
export function groupBudgetsOf({ rollout, rollouts, machines, neighbours }: Snapshot): GroupBudgets {
  const all = [rollout, ...rollouts.filter(({ metadata }) => metadata.name !== rollout.metadata.name)];
  const kept = all
    .filter((other) => isOfNamespace(other, rollout) && other.metadata.deletionTimestamp === undefined)
    .sort((a, b) => compareText(a.metadata.name, b.metadata.name))
    .flatMap((other) =>
      (other.spec.budgets ?? []).flatMap((spec, index): Kept[] => {
        if (!isReadable(spec)) return [];
        const tally = new Tally(spec);
        for (const machine of machines) tally.add(machine);
        for (const groups of neighbours?.groups(spec) ?? []) tally.merge(groups);
        const groups = new Map(
          [...tally.groups].map(([key, { total, unavailable }]): [string, Group] => [
            key,
            { total, limit: limitOf(spec, total), unavailable: new Set(unavailable), said: undefined },
          ]),
        );
        const of = other === rollout ? '' : ` of Rollout ${other.metadata.name}`;
        return [{ spec, name: `${spec.name ?? `budgets[${index}]`}${of}`, groups }];
      }),
    );
  return new GroupBudgets(kept);
}

/** What the budgets of some Rollouts ask for; `maxRebooting` counts all machines. */
export function groupingsOf(rollouts: readonly Rollout[]): Grouping[] {
  return rollouts.flatMap(({ spec }) => [
    ...(spec.budgets ?? []),
    ...(spec.maxRebooting === undefined ? [] : [EVERYONE]),
  ]);
}

/** Whether any Rollout of a namespace has a budget that is about more than its own machines. */
export function hasSharedBudget(rollouts: readonly Rollout[]): boolean {
  return rollouts.some(({ spec }) => (spec.budgets ?? []).length > 0 || spec.maxRebooting !== undefined);
}

/**
 * How many of a group may be unavailable at once: `maxUnavailable` in percent is rounded down, at least 1;
 * `minAvailable` in percent is rounded up, and leaves what is above it.
 */
export function limitOf({ maxUnavailable, minAvailable }: DisruptionBudget, total: number): number {
  if (maxUnavailable !== undefined) {
    const size = parseSize(maxUnavailable);
    return size === undefined ? 0 : budgetLimit(size, total);
  }
  const size = minAvailable === undefined ? undefined : parseSize(minAvailable);
  if (size === undefined) return 0;
  const stay = size.kind === 'count' ? size.count : Math.ceil((size.percent * total) / 100);
  return Math.max(0, total - stay);
}

function isReadable({ maxUnavailable, minAvailable }: DisruptionBudget): boolean {
  const given = [maxUnavailable, minAvailable].filter((size) => size !== undefined);
  return given.length === 1 && given.every((size) => parseSize(size) !== undefined);
}

function isOfNamespace(a: Rollout, b: Rollout): boolean {
  return (a.metadata.namespace ?? 'default') === (b.metadata.namespace ?? 'default');
}

function fullMessage({ spec, name }: Kept, key: string, { total, limit, unavailable }: Group): string {
  const group = spec.groupBy === undefined ? '' : ` for ${spec.groupBy}=${key}`;
  const field = spec.maxUnavailable === undefined ? 'minAvailable' : 'maxUnavailable';
  if (limit === 0) {
    return `budget ${name}${group}: all ${total} must stay available; lower its ${field} or add machines`;
  }
  const who = names([...unavailable].sort());
  const way = field === 'minAvailable' ? 'lower' : 'raise';
  return `budget ${name}${group}: ${unavailable.size} of ${limit} unavailable already (${who}); repair what is broken or ${way} its ${field}`;
}
