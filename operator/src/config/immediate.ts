// Delivery Immediate: which machines are told their closure right away, and in which words.
import { verbAnnotation } from '@floe/crds/constants';
import { desiredId, desiredIdWithoutClosure, nextSequence, ORDERS_IN_A_ROW } from '@floe/crds/desired-id';
import type { Desired, NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { rfc3339 } from '@floe/crds/rfc3339';
import { attemptEnd } from '../conditions/attempt-end.ts';
import { asksConsent, consentWait } from '../conditions/consent.ts';
import { ownAttempt } from '../conditions/own-attempt.ts';
import { isHeld } from '../conditions/standing.ts';
import type { MachineBuilds } from './machine-builds.ts';
import type { Snapshot } from './snapshot.ts';

/** The parts of a machine's status to write, in one write with the conditions that follow. */
export type MachineOrder = {
  readonly machine: NixMachine;
  readonly changes: Pick<NixMachineStatus, 'desired'> & Partial<Pick<NixMachineStatus, 'knownBad' | 'lastHandled'>>;
};

export type Orders = { readonly orders: readonly MachineOrder[]; readonly nextCheckSeconds: number | undefined };

/** Attempts that a machine remembers, the last one included. */
const REMEMBERED = 11;
/** Seconds between such tries. */
const UNCONFIRMED_PAUSE_SECONDS = 300;

/**
 * Orders to the machines that have a closure in the revision and don't run on it yet. Left alone are: machines on hold,
 * and those on which the closure failed, until floe.dev/retry. `spec.delivery` alone says who writes: a Rollout over such
 * machines holds them.
 */
export function immediateOrders(
  { config }: Snapshot,
  { revision, builds, now }: { revision: string; builds: MachineBuilds; now: Date },
): Orders {
  const orders: MachineOrder[] = [];
  const waits: number[] = [];
  for (const { machine, closure } of builds.built) {
    const until = holdEnds(machine, now);
    if (until !== undefined) waits.push(until);
    if (isHeld(machine, now)) continue;
    const decision = decide(machine, { config: config.metadata.name, revision, closure, now });
    if (decision.kind === 'order') orders.push({ machine, changes: decision.changes });
    if (decision.kind === 'later') waits.push(decision.seconds);
  }
  return { orders, nextCheckSeconds: waits.length === 0 ? undefined : Math.max(1, Math.min(...waits)) };
}

type Aim = { readonly config: string; readonly revision: string; readonly closure: string; readonly now: Date };
type Decision =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'later'; readonly seconds: number }
  | { readonly kind: 'order'; readonly changes: MachineOrder['changes'] };

function decide(machine: NixMachine, aim: Aim): Decision {
  const { status = {} } = machine;
  const retry = machine.metadata.annotations?.[verbAnnotation('retry')]?.slice(0, 256);
  const asked = retry !== undefined && retry !== '' && retry !== status.lastHandled?.['retry'];
  const bad = status.knownBad?.includes(aim.closure) === true;
  if (asked) {
    const lastHandled = { ...status.lastHandled, retry };
    const knownBad = (status.knownBad ?? []).filter((closure) => closure !== aim.closure);
    // A number that no earlier order had: the agent's journal would answer an old id with its old end.
    const number = nextSequence(status, aim.now.getTime());
    const desired = order(machine, aim, { number, reason: 'Retry' });
    return { kind: 'order', changes: { desired, lastHandled, ...(bad ? { knownBad } : {}) } };
  }
  if (bad) return { kind: 'nothing' };
  if (status.desired?.closure !== aim.closure || status.desired.revision !== aim.revision) {
    const number = freeNumber(machine, aim);
    return { kind: 'order', changes: { desired: order(machine, aim, { number, reason: 'Immediate' }) } };
  }
  return status.desired.go ? unconfirmed(machine, aim) : goAfterConsent(machine, status.desired, aim);
}

/** It was told to fetch and to ask its people; now it may switch, or there is something to wait for. */
function goAfterConsent(machine: NixMachine, desired: Desired, aim: Aim): Decision {
  const fetched = ownAttempt(machine.status ?? {})?.phase === 'Fetched';
  if (asksConsent(machine) && !fetched) return { kind: 'nothing' };
  const wait = consentWait(machine, aim.now.getTime());
  if (wait !== undefined) return { kind: 'later', seconds: (wait.until - aim.now.getTime()) / 1000 };
  const sequence = nextSequence(machine.status ?? {}, aim.now.getTime());
  return { kind: 'order', changes: { desired: { ...desired, sequence, go: true, since: rfc3339(aim.now) } } };
}

/** Rolled back only for want of a connection: told again after a pause, twice at most. */
function unconfirmed(machine: NixMachine, aim: Aim): Decision {
  const { status = {} } = machine;
  if (ownAttempt(status)?.phase !== 'Unconfirmed') return { kind: 'nothing' };
  const tried = NUMBERS.find((number) => idsOf(machine, aim, number).includes(status.desired?.id ?? ''));
  if (tried === undefined || tried % ORDERS_IN_A_ROW === ORDERS_IN_A_ROW - 1) return { kind: 'nothing' };
  const now = aim.now.getTime();
  const seconds = UNCONFIRMED_PAUSE_SECONDS - (now - attemptEnd(status, now)) / 1000;
  if (seconds > 0) return { kind: 'later', seconds: Math.min(seconds, UNCONFIRMED_PAUSE_SECONDS) };
  return { kind: 'order', changes: { desired: order(machine, aim, { number: tried + 1, reason: 'Retry' }) } };
}

function order(machine: NixMachine, aim: Aim, { number, reason }: { number: number; reason: string }): Desired {
  return {
    id: idOf(machine, aim, number),
    sequence: nextSequence(machine.status ?? {}, aim.now.getTime()),
    revision: aim.revision,
    closure: aim.closure,
    reason,
    // Who runs it already is only told its name.
    go: !asksConsent(machine) || machine.status?.current?.closure === aim.closure,
    since: rfc3339(aim.now),
    // Without a Rollout nobody counts who restarts; InWindow waits for a person, as there is no window.
    ...(machine.spec.activation?.reboot === 'WhenRequired' ? { reboot: true } : {}),
  };
}

/** Numbers of the orders of one closure and revision that a machine may remember: the first of each row and its repetitions. */
const NUMBERS = Array.from({ length: ORDERS_IN_A_ROW * (REMEMBERED + 1) }, (_, number) => number);

/**
 * The first number of a row of which the machine knows no order. It may have had this closure in this revision before, as
 * when a commit is reverted, and takes an id that it knows for done.
 */
function freeNumber(machine: NixMachine, aim: Aim): number {
  const { desired, attempt, attempts = [] } = machine.status ?? {};
  const known = new Set([desired?.id, attempt?.desiredId, ...attempts.map(({ desiredId: id }) => id)]);
  const isKnown = (number: number): boolean => idsOf(machine, aim, number).some((id) => known.has(id));
  const rows = NUMBERS.filter((number) => number % ORDERS_IN_A_ROW === 0);
  return rows.find((first) => !NUMBERS.slice(first, first + ORDERS_IN_A_ROW).some(isKnown)) ?? 0;
}

function idOf({ metadata }: NixMachine, { config, revision, closure }: Aim, retry: number): string {
  return desiredId({ rollout: config, run: revision, machine: metadata.name, retry, closure });
}

/** The ids that an order of this number may have: an earlier version of Floe gave the second. */
function idsOf(machine: NixMachine, aim: Aim, retry: number): string[] {
  const run = `${aim.revision} ${aim.closure}`;
  const former = desiredIdWithoutClosure({ rollout: aim.config, run, machine: machine.metadata.name, retry });
  return [idOf(machine, aim, retry), former];
}

/** Seconds until a hold that has an end is over. */
function holdEnds(machine: NixMachine, now: Date): number | undefined {
  const until = machine.spec.hold?.until;
  if (until === undefined || !isHeld(machine, now)) return undefined;
  const seconds = (Date.parse(until) - now.getTime()) / 1000;
  return Number.isFinite(seconds) ? seconds : undefined;
}
