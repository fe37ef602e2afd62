// Who is told now: goes and fetches of the batch in hand, as far as budget, connection and holds allow.
import { desiredId } from '@floe/crds/desired-id';
import type { Budget } from './budget.ts';
import type { Facts } from './facts.ts';
import type { GroupBudgets } from './group-budgets.ts';
import { isNumbered, nextRetry, type Orders, orderKey, timesByItself } from './retries.ts';
import { isForeignOrder, type Member } from './standing.ts';
import { fetchesApart, type Moment, timeHold } from './time-holds.ts';

/** One order to a machine. */
export type Order = {
  readonly machine: string;
  readonly closure: string;
  readonly revision: string;
  readonly reason: 'Rollout' | 'Joined' | 'Rollback' | 'Retry';
  /** `desired.id` of the order. */
  readonly id: string;
  /** Whether its go says at once that it may restart. */
  readonly reboot?: true;
  /** How often it is told again by itself with this order. */
  readonly byItself: number;
  /** The order that it repeats, where the id of that order does not tell how often it was told. */
  readonly repeats?: string;
};

export type HoldReason =
  | 'InProgress'
  | 'NotReady'
  | 'Offline'
  | 'BudgetFull'
  | 'GroupBudgetFull'
  | 'WaitingForDependency'
  | 'StepPaused'
  | 'WaitingForAnalysis'
  | 'LaterStep'
  | 'NotBuilt'
  | 'Suspended'
  | 'MachineSuspended'
  | 'OtherRollout'
  | 'Failed'
  | 'KnownBad'
  | 'WaitingForUser'
  | 'OutsideWindow'
  | 'Frozen'
  | 'InvalidSpec'
  | 'DeliveryImmediate';

export type Hold = { readonly machine: string; readonly reason: HoldReason; readonly message: string };

export type Told = { readonly dispatch: Order[]; readonly fetch: Order[]; readonly hold: Hold[] };

export type TellInput = {
  readonly orders: Orders;
  /** Whose turn it is, in order: those to be told again or another closure, those that have fetched, then candidates. */
  readonly turn: readonly Member[];
  /** How many of those not told yet may be taken; undefined: all. */
  readonly room: number | undefined;
  readonly budget: Budget;
  /** Budgets of the namespace; who is told takes its slots in them. */
  readonly groups: GroupBudgets;
  /** Whether machines fetch first and switch on a second word. */
  readonly fetchFirst: boolean;
  /** Whether a go says at once that the machine may restart. */
  readonly rebootsWithGo: (facts: Facts) => boolean;
  /** Windows, and the time that they are asked for. */
  readonly moment: Moment;
  /** Whether machines that are sick already may have their turn. */
  readonly sickToo: boolean;
  readonly reason: 'Rollout' | 'Joined';
  /** What a machine waits for that the room has no place for. */
  readonly later: Omit<Hold, 'machine'>;
};

/** Decides over everyone whose turn it is; each comes out exactly once. */
export function tell(input: TellInput): Told {
  const told: Told = { dispatch: [], fetch: [], hold: [] };
  const left = { free: input.budget.free, room: input.room ?? Number.POSITIVE_INFINITY };
  const full = budgetFull(input.budget, input.turn);
  for (const member of input.turn) {
    const reason = whyNot(member, input, left.room);
    if (reason !== undefined) {
      told.hold.push({ machine: member.facts.name, ...reason });
      continue;
    }
    const slots = tellOne(member, { input, full, free: left.free, told });
    // Who waits for others takes no room meanwhile: machines of other groups go on.
    if (slots === undefined) continue;
    if (isNew(member)) left.room -= 1;
    left.free -= slots;
  }
  return told;
}

/** `full`: what a machine waits for where the budget has no slot left. */
type Telling = {
  readonly input: TellInput;
  readonly full: Omit<Hold, 'machine'>;
  readonly free: number;
  readonly told: Told;
};

/** Tells one machine, and returns how many slots that takes; undefined: a budget of the namespace is full. */
function tellOne(member: Member, { input, full, free, told }: Telling): number | undefined {
  const closed = timeHold(input.moment, member.facts, 'Switch');
  const apart = fetchesApart(input.moment);
  const fetchFirst = input.fetchFirst || asks(member, input) || apart.download || closed !== undefined;
  if ((fetchFirst || apart.switch) && member.standing.kind === 'fetching') {
    told.hold.push({ machine: member.facts.name, reason: 'InProgress', message: 'fetches; its go follows' });
    return 0;
  }
  // Who is told again was here already, and keeps its place in the batch.
  if (fetchFirst && member.standing.kind !== 'fetched' && !goesAtOnce(member, input) && !isThere(member, input)) {
    const later = timeHold(input.moment, member.facts, 'Download');
    if (later === undefined) told.fetch.push(orderOf(input, member));
    else told.hold.push({ machine: member.facts.name, ...later });
    return 0;
  }
  if (closed !== undefined) {
    told.hold.push({ machine: member.facts.name, ...closed });
    return 0;
  }
  // A machine that is sick already uses the slot that it holds.
  const slots = member.facts.well ? 1 : 0;
  if (slots > free) {
    told.hold.push({ machine: member.facts.name, ...full });
    return 0;
  }
  const shared = input.groups.whyNot(member.facts);
  if (shared !== undefined) {
    told.hold.push({ machine: member.facts.name, ...shared });
    return undefined;
  }
  input.groups.take(member.facts);
  told.dispatch.push(orderOf(input, member));
  return slots;
}

/** Who is told again goes at once; people who are asked are so anew, unless it is for want of a confirmation alone. */
const goesAtOnce = (member: Member, input: TellInput): boolean =>
  member.standing.kind === 'again' && (member.standing.byItself || !asks(member, input));

/** Whether an order of an earlier run brought the closure already: no window has to open for its fetch. */
function isThere(member: Member, input: TellInput): boolean {
  const { standing, closure } = member;
  const { desired, own } = member.facts;
  const isSame = desired?.go === false && desired.closure === closure && desired.rollout === input.orders.rollout;
  const isApart = !(input.fetchFirst || asks(member, input));
  return standing.kind === 'pending' && isSame && own?.phase === 'Fetched' && isApart;
}

/** Whether its users are asked; what is urgent asks nobody. */
const asks = ({ facts }: Member, { orders }: TellInput): boolean => facts.asks && orders.run.urgent === undefined;

/** Whether it takes room in the batch: who is told again, or another closure, was counted before. */
const isNew = ({ standing, aside }: Pick<Member, 'standing' | 'aside'>): boolean =>
  !aside && standing.kind !== 'again' && standing.kind !== 'changed';

/** Why a machine can't have its turn, budget aside. What concerns the machine alone is said first. */
function whyNot(member: Member, input: TellInput, room: number): Omit<Hold, 'machine'> | undefined {
  const alone = aloneReason(member.facts);
  if (alone !== undefined) return alone;
  if (member.standing.kind === 'busy') return { reason: 'InProgress', message: 'carries out another order first' };
  if (isNew(member) && room <= 0) return input.later;
  // Takes no room meanwhile: others of the batch go on.
  const isAsked = member.standing.kind === 'fetched' && asks(member, input);
  const user = isAsked ? member.facts.waitsForUser : undefined;
  if (user !== undefined) return { reason: 'WaitingForUser', message: user.message };
  return sick(member, input);
}

/** A machine that is sick already is no canary. */
function sick(member: Member, { sickToo }: TellInput): Omit<Hold, 'machine'> | undefined {
  const { facts } = member;
  if (!facts.well && !sickToo && isNew(member)) {
    return { reason: 'NotReady', message: `${sickness(facts)}; the first batch takes machines that are healthy` };
  }
  return undefined;
}

/** A hold or a lost connection: what concerns the machine alone. */
export function aloneReason(facts: Facts): Omit<Hold, 'machine'> | undefined {
  if (facts.hold !== undefined) {
    const until = facts.machine.spec.hold?.until;
    const end = until === undefined ? 'until spec.hold is removed' : `until ${until}`;
    return { reason: 'MachineSuspended', message: `on hold ${end}: ${facts.hold.reason}` };
  }
  if (!facts.online) {
    const { connection } = facts.machine.status ?? {};
    const still = connection?.fault?.message ?? 'offline, follows on return';
    return {
      reason: 'Offline',
      message: connection === undefined ? 'never connected: start floe-agent on it' : still,
    };
  }
  return undefined;
}

function sickness(facts: Facts): string {
  const units = (facts.machine.status?.failedUnits ?? []).slice(0, 3).join(', ');
  return units === '' ? 'not healthy' : `${units} failed`;
}

function budgetFull({ limit, unavailable }: Budget, turn: readonly Member[]): Omit<Hold, 'machine'> {
  const sick = turn.filter(({ facts }) => facts.online && !facts.well).length;
  const remedy = sick > 0 && unavailable >= limit ? '; repair the unhealthy ones or raise spec.maxUnavailable' : '';
  return { reason: 'BudgetFull', message: `${unavailable} of ${limit} unavailable already${remedy}` };
}

function orderOf(input: TellInput, member: Member): Order {
  const { orders, rebootsWithGo } = input;
  const { facts, closure = '', standing } = member;
  const byItself = standing.kind === 'again' && standing.byItself;
  // A go after a fetch keeps the order: its id is what the machine's journal knows.
  const isFetched = standing.kind === 'fetched' || standing.kind === 'fetching';
  const { rollout, run } = orders;
  const retry = nextRetry(orders, facts, byItself);
  return {
    machine: facts.name,
    closure,
    revision: run.revision,
    reason: reasonOf(input, member),
    id:
      (isFetched ? facts.desired?.id : undefined) ??
      desiredId({ rollout, run: runKey(orders, member), machine: facts.name, retry, closure }),
    ...(rebootsWithGo(facts) ? { reboot: true } : {}),
    byItself: byItself ? timesByItself(orders, facts) + 1 : 0,
    ...(byItself && !isNumbered(orders, facts) ? { repeats: orderKey(facts) } : {}),
  };
}

/** One whose turn is over gets another closure outside of the steps, until a person asks to retry. */
function reasonOf({ reason }: TellInput, { facts, closure, standing, toldInStep, aside }: Member): Order['reason'] {
  if (aside && standing.kind === 'again' && standing.byItself) return 'Joined';
  if (standing.kind === 'again' || (facts.machine.status?.knownBad ?? []).includes(closure ?? '')) return 'Retry';
  return aside || (standing.kind === 'changed' && !toldInStep) ? 'Joined' : reason;
}

/**
 * A machine that comes over from another Rollout, or whose closure changed, may have had this very order before. Its agent
 * takes an id that it knows for done, so the order that is replaced makes a new one of it.
 */
function runKey({ rollout, run }: Orders, { facts, standing }: Member): string {
  const isAnother = standing.kind === 'changed' || isForeignOrder({ rollout }, facts);
  return isAnother ? `${run.id} after ${facts.desired?.id ?? ''}` : run.id;
}
