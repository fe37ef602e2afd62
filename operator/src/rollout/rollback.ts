// Taking a run back: failed machines first, then updated ones, newest first, each to the closure it had before.
import { desiredId } from '@floe/crds/desired-id';
import { timeMs } from '../conditions/moment.ts';
import type { Budget } from './budget.ts';
import { type Facts, finishedAt, isFinal } from './facts.ts';
import type { GroupBudgets } from './group-budgets.ts';
import { compareText } from './order.ts';
import { isOrderOfRun, type Member, type View } from './standing.ts';
import { aloneReason, type Hold, type Order } from './tell.ts';
import { attemptFailure } from './wording.ts';

export type Rollback = {
  readonly rollback: Order[];
  readonly hold: Hold[];
  /** Whether everyone is back who can be reached. */
  readonly ended: boolean;
  /** Machines that are told to return, or wait for their turn. */
  readonly returning: number;
  /** Machines that could not be brought back. */
  readonly lost: number;
  /** When time alone changes something, in ms. */
  readonly checks: readonly number[];
};

type Return =
  | { readonly kind: 'back' }
  /** Still on its way forward: it finishes first. */
  | { readonly kind: 'forward'; readonly until: number | undefined }
  | { readonly kind: 'returning'; readonly until: number | undefined }
  | { readonly kind: 'lost'; readonly message: string }
  | { readonly kind: 'due'; readonly closure: string; readonly failed: boolean; readonly at: number };

type Terms = {
  readonly revision: string | undefined;
  readonly budget: Budget;
  readonly groups: GroupBudgets;
  /** Whether a go says at once that the machine may restart. */
  readonly rebootsWithGo: (facts: Facts) => boolean;
  readonly suspended: boolean;
};

/** Decides who returns now. `revision` is where to; undefined: each to what it ran before. */
export function planRollback(view: View, members: readonly Member[], terms: Terms): Rollback {
  const returns = members.map((member) => ({ member, back: returnOf(view, member, terms.revision) }));
  const due = returns
    .flatMap(({ member, back }) => (back.kind === 'due' ? [{ facts: member.facts, back }] : []))
    .sort(
      (a, b) =>
        Number(b.back.failed) - Number(a.back.failed) ||
        b.back.at - a.back.at ||
        compareText(b.facts.name, a.facts.name),
    );
  const told = tellBack(view, due, terms);
  const hold = returns.flatMap(({ member, back }) => restReason(member.facts, back));
  const reachable = due.filter(({ facts }) => aloneReason(facts) === undefined);
  const moving = returns.filter(({ back }) => back.kind === 'forward' || back.kind === 'returning');
  return {
    rollback: told.rollback,
    hold: [...told.hold, ...hold],
    ended: reachable.length === 0 && moving.length === 0,
    returning: reachable.length + moving.length,
    lost: returns.filter(({ back }) => back.kind === 'lost').length,
    checks: returns.flatMap(({ back }) => ('until' in back && back.until !== undefined ? [back.until] : [])),
  };
}

type Due = { readonly facts: Facts; readonly back: Extract<Return, { kind: 'due' }> };

function tellBack(view: View, due: readonly Due[], terms: Terms): { rollback: Order[]; hold: Hold[] } {
  const rollback: Order[] = [];
  const hold: Hold[] = [];
  let { free } = terms.budget;
  for (const { facts, back } of due) {
    // A machine that is sick or on its way already uses the slot that it holds.
    const slots = !facts.well || facts.inHand ? 0 : 1;
    const held = whyNotBack(facts, slots > free, terms);
    if (held !== undefined) {
      hold.push({ machine: facts.name, ...held });
      continue;
    }
    free -= slots;
    terms.groups.take(facts);
    const order = orderBack(view, facts, { closure: back.closure, revision: terms.revision });
    rollback.push(terms.rebootsWithGo(facts) ? { ...order, reboot: true } : order);
  }
  return { rollback, hold };
}

function whyNotBack(
  facts: Facts,
  isFull: boolean,
  { budget, groups, suspended }: Terms,
): Omit<Hold, 'machine'> | undefined {
  const alone = suspended ? SUSPENDED : aloneReason(facts);
  return alone ?? (isFull ? fullBudget(budget) : groups.whyNot(facts));
}

function fullBudget({ limit }: Budget): Omit<Hold, 'machine'> {
  return { reason: 'BudgetFull', message: `returns when one of ${limit} slots is free` };
}

const SUSPENDED: Omit<Hold, 'machine'> = { reason: 'Suspended', message: 'spec.suspend is true' };

function orderBack(view: View, facts: Facts, to: { closure: string; revision: string | undefined }): Order {
  const { rollout, run } = view;
  const { closure } = to;
  const id = desiredId({
    rollout,
    run: `${run.id}-rollback`,
    machine: facts.name,
    retry: run.retry.count,
    closure,
  });
  const revision = to.revision ?? 'previous';
  return { machine: facts.name, closure, revision, reason: 'Rollback', id, byItself: 0 };
}

function restReason(facts: Facts, back: Return): Hold[] {
  switch (back.kind) {
    case 'forward':
      return [{ machine: facts.name, reason: 'InProgress', message: 'finishes what it was told, then returns' }];
    case 'returning':
      return [{ machine: facts.name, reason: 'InProgress', message: 'returns to its former closure' }];
    case 'lost':
      return [{ machine: facts.name, reason: 'Failed', message: back.message }];
    case 'back':
      return [{ machine: facts.name, reason: 'Failed', message: 'the run is taken back; it runs its former closure' }];
    default:
      return [];
  }
}

/** Where a machine is on its way back. */
function returnOf(view: View, member: Member, revision: string | undefined): Return {
  const { facts, closure, standing } = member;
  if (isToReturn(view, member)) return returning(view, facts);
  if (facts.inHand && (standing.kind === 'updating' || standing.kind === 'busy')) {
    return { kind: 'forward', until: standing.until };
  }
  const former = formerClosure(view, member, revision);
  const isThere = facts.current === former && !facts.inHand;
  if (isUntouched(member) || former === closure || isThere) return { kind: 'back' };
  const isGone = facts.current !== closure && facts.current !== broughtTo(view, member);
  if (former === undefined && isGone && !facts.inHand) return { kind: 'back' };
  if (former === undefined) return { kind: 'lost', message: 'nothing is known that it ran before' };
  if ((facts.machine.status?.knownBad ?? []).includes(former)) {
    return { kind: 'lost', message: 'its former closure failed on it before' };
  }
  const failed = standing.kind === 'failed' || standing.kind === 'again';
  return { kind: 'due', closure: former, failed, at: endedAt(view, facts) };
}

/** Whether its order is to return: one of this run for a closure of another revision. */
function isToReturn(view: View, { facts, closure }: Member): boolean {
  const { desired } = facts;
  if (desired === undefined || desired.closure === closure || !isOrderOfRun(view, facts)) return false;
  return desired.revision !== view.run.revision;
}

/** The closure that this run told the machine; another than it has now where that has changed since. */
function broughtTo(view: View, { facts, closure, told }: Member): string | undefined {
  return told && isOrderOfRun(view, facts) ? facts.desired?.closure : closure;
}

/** When its order came to an end, else when it came; 0 where nobody told it. */
function endedAt({ now }: View, facts: Facts): number {
  return facts.own === undefined ? (timeMs(facts.desired?.since) ?? 0) : finishedAt(facts, now);
}

/** Whether the run never told the machine anything, and it has not the closure either. */
function isUntouched({ facts, closure, standing, told }: Member): boolean {
  if (closure === undefined) return true;
  return !told && facts.current !== closure && standing.kind !== 'updated';
}

/** The closure of the revision to return to, else what the machine ran before its attempt. */
function formerClosure(view: View, member: Member, revision: string | undefined): string | undefined {
  const { facts } = member;
  const brought = broughtTo(view, member);
  const found = revision === undefined ? undefined : view.closures.of(revision, facts.name);
  if (found?.kind === 'closure') return found.closure;
  return facts.attempt?.to === brought && facts.attempt?.from !== brought ? facts.attempt?.from : undefined;
}

/** A machine that was told to return. */
function returning(view: View, facts: Facts): Return {
  const { desired, own } = facts;
  if (!facts.inHand && facts.current === desired?.closure) return { kind: 'back' };
  if (own !== undefined && isFinal(own)) {
    if (own.phase === 'Committed' || own.phase === 'RebootRequired') return { kind: 'back' };
    return { kind: 'lost', message: `could not return: ${attemptFailure(facts, own)}` };
  }
  const until = (timeMs(desired?.since) ?? view.now) + view.machineTimeoutMs;
  if (view.now >= until) return { kind: 'lost', message: 'was told to return and did not in time' };
  return { kind: 'returning', until };
}
