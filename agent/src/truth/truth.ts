// What the agent remembers of what was kept last, by Floe or by hand, beside the journal, which forgets after ten attempts. Pure.
import type { DriftPolicy, Held } from '@floe/crds/drift';
import type { DriftCause } from '@floe/crds/drift-words';
import { type AttemptRecord, isDone, type Mode, type Order } from '../attempt/record.ts';
import type { Journal } from '../journal/journal.ts';

/** A closure that was kept: committed, or written as the one to boot. */
export type Kept = {
  readonly closure: string;
  /** Id and start of the attempt that kept it. */
  readonly attempt: string;
  readonly at: string;
  readonly mode: Mode;
  /** Closure that ran before it. */
  readonly from?: string;
  /** The boot in which it was kept. */
  readonly bootId?: string;
  /** It takes effect with the next boot only. */
  readonly waitsForBoot: boolean;
};

/** A closure that root kept with `floe-agent apply`. */
export type KeptByHand = Kept & {
  readonly by?: string;
  /** The hub's order that was known then: the same one given again does not undo it. */
  readonly over?: string;
  /** A newer order of the hub was carried out since, or tried. */
  readonly overruled: boolean;
};

export type Truth = {
  /** Kept last by an order of the hub. */
  readonly hub?: Kept;
  /** Kept since then by hand. */
  readonly local?: KeptByHand;
  /** The order of the hub that ended last, well or not. */
  readonly handled?: OrderKey & {
    /** It was dropped before it changed anything. */
    readonly dropped: boolean;
  };
  /** Closures that the hub sent, the newest first. */
  readonly sent: readonly string[];
  readonly policy: DriftPolicy;
  readonly drift?: {
    readonly cause: DriftCause;
    readonly since: string;
    readonly expected: string;
    readonly found?: string;
  };
  /** When drift was put back, as far as that was within the last hour. */
  readonly reverts: readonly string[];
  /** It was put back too often; hands off until it is gone or a new order comes. */
  readonly fights: boolean;
  /** Back to what the hub ordered last, once, whatever the policy: `floe-agent release` was called. */
  readonly returning: boolean;
  /** Id of an order that is to be carried out though it was dropped for what was done by hand. */
  readonly again?: string;
};

type OrderKey = Pick<Order, 'id' | 'closure' | 'sequence'>;

export const NO_TRUTH: Truth = { sent: [], policy: 'Report', reverts: [], fights: false, returning: false };

const SENT = 32;

const nameOf = (record: AttemptRecord): string => `${record.order.id} ${record.startedAt}`;

function keptBy(record: AttemptRecord): Kept {
  const { order, before, phase, startedAt, finishedAt } = record;
  return {
    closure: order.closure,
    attempt: nameOf(record),
    at: finishedAt ?? startedAt,
    mode: order.mode,
    waitsForBoot: phase === 'RebootRequired',
    ...(before === undefined ? {} : { from: before.system, bootId: before.bootId }),
  };
}

const isKept = ({ phase }: AttemptRecord): boolean => phase === 'Committed' || phase === 'RebootRequired';
/** Ended by something else than being dropped before it began. */
const wasTried = ({ phase }: AttemptRecord): boolean => phase !== 'Cancelled';

/** Takes in one attempt that has ended. */
function learnOne(truth: Truth, record: AttemptRecord, over: string | undefined): Truth {
  const { order } = record;
  const { local: before, again: _again, ...rest } = truth;
  if (order.revert === true) {
    // What was kept stays what it was; it is back in this boot.
    const bootId = record.before?.bootId;
    if (!isKept(record) || truth.hub?.closure !== order.closure || bootId === undefined) return truth;
    return { ...truth, hub: { ...truth.hub, bootId } };
  }
  if (order.origin === 'hub') {
    const { id, closure, sequence } = order;
    const sent = [closure, ...truth.sent.filter((one) => one !== closure)].slice(0, SENT);
    const handled = { id, closure, sequence, dropped: !wasTried(record) };
    if (isKept(record)) return { ...rest, sent, handled, hub: keptBy(record), fights: false };
    const known: Truth = { ...truth, sent, handled };
    if (before === undefined || handled.dropped || id === before.over) return known;
    return { ...known, local: { ...before, overruled: true } };
  }
  if (!isKept(record)) return truth;
  if (order.closure === truth.hub?.closure) return { ...rest, hub: { ...truth.hub, ...keptBy(record) }, fights: false };
  const known = truth.handled?.id ?? over;
  const local: KeptByHand = {
    ...keptBy(record),
    overruled: false,
    ...(order.by === undefined ? {} : { by: order.by }),
    ...(known === undefined ? {} : { over: known }),
  };
  return { ...rest, local, fights: false, returning: false };
}

/** Takes in the attempts that ended since `seen`, the name of the last one that was taken in. */
export function learn(
  truth: Truth,
  journal: Journal,
  seen: string | undefined,
): { truth: Truth; seen: string | undefined } {
  const done = [journal.attempt, ...journal.ended].filter((one) => one !== undefined).filter(isDone);
  const known = done.findIndex((one) => stateOf(one) === seen);
  const fresh = (known === -1 ? done : done.slice(0, known)).toReversed();
  let over: string | undefined;
  let next = truth;
  for (const record of fresh) {
    next = learnOne(next, record, over);
    if (record.order.origin === 'hub') over = record.order.id;
  }
  const last = done[0];
  return { truth: next, seen: last === undefined ? seen : stateOf(last) };
}

/** Names an attempt and its end: one that waited for its boot ends a second time. */
const stateOf = (record: AttemptRecord): string => `${nameOf(record)} ${record.phase}`;

/** What is expected of the machine: what was kept last, by Floe or by hand. */
export function expected(truth: Truth): Kept | undefined {
  return truth.local ?? truth.hub;
}

/** What is held: activated by hand, and neither overruled nor released. */
export function heldOf({ local }: Truth): Held | undefined {
  if (local === undefined || local.overruled) return undefined;
  return { closure: local.closure, since: local.at, ...(local.by === undefined ? {} : { by: local.by }) };
}

/** What was applied in mode `test` ends with a restart, and so does its hold. */
export function endWithBoot(truth: Truth, bootId: string): Truth {
  const { local, ...rest } = truth;
  return local?.mode === 'test' && local.bootId !== undefined && local.bootId !== bootId ? rest : truth;
}

/** Ends the hold: the machine goes back to what the hub ordered. */
export function release(truth: Truth): Truth {
  const { local, ...rest } = truth;
  if (local === undefined) return truth;
  const dropped = rest.handled?.dropped === true && rest.handled.id === local.over ? { again: rest.handled.id } : {};
  return { ...rest, ...dropped, fights: false, returning: truth.hub !== undefined };
}

/** Whether the hub's order was dealt with, as far as the journal no longer says so: carried out, or done over by hand. */
export function isSettled(truth: Truth, order: OrderKey): boolean {
  const { local, handled } = truth;
  if (local !== undefined && !local.overruled && local.over === order.id) return true;
  if (handled?.id !== order.id || handled.closure !== order.closure) return false;
  return !handled.dropped || handled.sequence >= order.sequence;
}
