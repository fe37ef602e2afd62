// Who may restart: machines whose closure needs it, as far as policy, windows and budgets allow.
import type { Budget } from './budget.ts';
import type { GroupBudgets } from './group-budgets.ts';
import { awaitsReboot } from './reboot-policy.ts';
import { goesOn, type Run } from './run.ts';
import { budgetLimit, parseSize } from './share.ts';
import type { Snapshot } from './snapshot.ts';
import type { Member } from './standing.ts';
import { EVERYONE, Tally } from './tally.ts';
import { aloneReason, type Hold } from './tell.ts';
import { type Moment, opensFor, timeHold } from './time-holds.ts';

/** The word to a machine that it may restart: its order stays as it is. */
export type Reboot = { readonly machine: string; readonly closure: string };

export type Reboots = {
  readonly told: readonly Reboot[];
  /** Why the others wait, by machine. */
  readonly waiting: ReadonlyMap<string, Omit<Hold, 'machine'>>;
  /** Slots of `maxUnavailable` that it takes. */
  readonly slots: number;
  /** When time alone changes something, in ms. */
  readonly checks: readonly number[];
};

type Terms = {
  readonly run: Run;
  readonly budget: Budget;
  readonly groups: GroupBudgets;
  readonly moment: Moment;
  readonly snapshot: Snapshot;
};

/** Decides who restarts now, in the order of the members. A run that was stopped tells nobody. */
export function planReboots(members: readonly Member[], { run, budget, groups, moment, snapshot }: Terms): Reboots {
  const { spec, metadata } = snapshot.rollout;
  const isOpen = goesOn(run) || run.completed || run.rollback !== undefined;
  const due = spec.suspend === true || !isOpen ? [] : members.filter((member) => isMeant(member, run, metadata.name));
  const told: Reboot[] = [];
  const waiting = new Map<string, Omit<Hold, 'machine'>>();
  const checks: number[] = [];
  if (due.length === 0) return { told, waiting, slots: 0, checks };
  const places = placesOf(snapshot);
  let slots = 0;
  for (const { facts } of due) {
    const takes = facts.well ? 1 : 0;
    const reason =
      aloneReason(facts) ??
      timeHold(moment, facts, 'Reboot') ??
      places.whyNot() ??
      (slots + takes > budget.free ? fullBudget(budget) : groups.whyNot(facts));
    if (reason !== undefined) {
      waiting.set(facts.name, reason);
      checks.push(opensFor(moment, facts, 'Reboot') ?? 0);
      continue;
    }
    slots += takes;
    places.take();
    groups.take(facts);
    told.push({ machine: facts.name, closure: facts.desired?.closure ?? '' });
  }
  return { told, waiting, slots, checks };
}

/** Standings in which nothing else is said to a machine. */
const LEFT_ALONE: readonly string[] = ['updated', 'soaking', 'updating'];

/** Whether it waits for this word and no other; of a run that is taken back, who was told to return. */
function isMeant({ facts, standing, closure }: Member, run: Run, rollout: string): boolean {
  const { desired } = facts;
  if (!awaitsReboot(facts) || desired?.rollout !== rollout || desired.reason === 'Immediate') return false;
  if (run.rollback !== undefined) return desired.reason === 'Rollback';
  return desired.closure === closure && LEFT_ALONE.includes(standing.kind);
}

function fullBudget({ limit, unavailable }: Budget): Omit<Hold, 'machine'> {
  return { reason: 'BudgetFull', message: `restarts when there is a slot: ${unavailable} of ${limit} unavailable` };
}

/** Places for machines that restart, over the whole namespace. */
function placesOf(snapshot: Snapshot): { whyNot: () => Omit<Hold, 'machine'> | undefined; take: () => void } {
  const { maxRebooting } = snapshot.rollout.spec;
  const size = maxRebooting === undefined ? undefined : parseSize(maxRebooting);
  if (size === undefined) return { whyNot: () => undefined, take: () => undefined };
  const tally = new Tally(EVERYONE);
  for (const machine of snapshot.machines) tally.add(machine);
  for (const groups of snapshot.neighbours?.groups(EVERYONE) ?? []) tally.merge(groups);
  const all = tally.groups.get('');
  const limit = budgetLimit(size, all?.total ?? 0);
  let rebooting = all?.rebooting ?? 0;
  return {
    whyNot: () => {
      if (rebooting < limit) return undefined;
      const message = `restarts when there is a place: ${rebooting} of ${limit} restart already; raise spec.maxRebooting to go faster`;
      return { reason: 'GroupBudgetFull', message };
    },
    take: () => {
      rebooting += 1;
    },
  };
}
