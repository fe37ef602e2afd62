// What a machine's status says, as far as a rollout cares: online, healthy, on hold, busy.
import { FINAL_PHASES } from '@floe/crds/attempt-phase';
import type { Attempt, Desired, NixMachine } from '@floe/crds/nix-machine';
import { attemptEnd } from '../conditions/attempt-end.ts';
import { asksConsent, type ConsentWait, consentWait } from '../conditions/consent.ts';
import { timeMs, wholeSeconds } from '../conditions/moment.ts';
import { ownAttempt } from '../conditions/own-attempt.ts';
import { isCoarse } from '../conditions/presence.ts';

/** Phases in which an attempt has not changed the machine yet. */
const PREPARING: readonly string[] = ['Waiting', 'Fetching', 'Fetched'];
/** From the beginning of a day to its last second. */
const LAST_SECOND_MS = 86_399_000;

export type Facts = {
  readonly machine: NixMachine;
  readonly name: string;
  readonly current: string | undefined;
  readonly desired: Desired | undefined;
  readonly attempt: Attempt | undefined;
  /** The attempt, where it is one at `desired`. */
  readonly own: Attempt | undefined;
  readonly online: boolean;
  /** Since when it is online, or not; in ms. Where only the day is kept (`presence: Coarse`), its beginning. */
  readonly connectionSince: number | undefined;
  /** Since when it is so at the latest: where only the day is kept, its end, or now. */
  readonly connectionSinceAtLatest: number | undefined;
  /** Whether an attempt is in hand, or a go was given and nothing was heard of it. */
  readonly inHand: boolean;
  /** Whether a go was given and nothing was heard of it. */
  readonly unanswered: boolean;
  /** Whether it is not known to be sick; says nothing of being online or busy. */
  readonly well: boolean;
  /** Since when it is well, or not; in ms. */
  readonly wellSince: number | undefined;
  /** `spec.hold`, while it is in force, or what was activated by hand. */
  readonly hold: { readonly reason: string; readonly until: number | undefined } | undefined;
  /** Whether its people are asked before it switches: it fetches first. */
  readonly asks: boolean;
  /** It has fetched, and waits for the yes of its people. */
  readonly waitsForUser: ConsentWait | undefined;
};

/** Whether an attempt does nothing more; phases that this version does not know are open until they have an end. */
export function isFinal(attempt: Attempt): boolean {
  return (FINAL_PHASES as readonly string[]).includes(attempt.phase) || attempt.finishedAt !== undefined;
}

/** Whether an attempt has not changed the machine yet. */
export function isPreparing({ phase }: Attempt): boolean {
  return PREPARING.includes(phase);
}

/** Reads the facts of a machine at `now` (ms). */
export function factsOf(machine: NixMachine, now: number): Facts {
  const { desired, attempt, connection, current, conditions } = machine.status ?? {};
  const { own, unanswered, inHand } = workOf(machine);
  return {
    machine,
    name: machine.metadata.name,
    current: current?.closure,
    desired,
    attempt,
    own,
    online: isOnline(machine),
    connectionSince: timeMs(connection?.since),
    connectionSinceAtLatest: sinceAtLatest(machine, now),
    inHand,
    unanswered,
    well: isWell(machine),
    wellSince: timeMs(conditions?.find(({ type }) => type === 'Healthy')?.lastTransitionTime),
    hold: holdOf(machine, now),
    asks: asksConsent(machine),
    waitsForUser: consentWait(machine, now),
  };
}

/** A time that is kept as a day stands for any moment of that day which has passed. */
function sinceAtLatest(machine: NixMachine, now: number): number | undefined {
  const since = timeMs(machine.status?.connection?.since);
  return since === undefined || !isCoarse(machine) ? since : Math.max(since, Math.min(now, since + LAST_SECOND_MS));
}

function isOnline({ status }: NixMachine): boolean {
  const { connection, conditions } = status ?? {};
  return (
    connection?.online ?? conditions?.some(({ type, status: holds }) => type === 'Online' && holds === 'True') ?? false
  );
}

function isWell({ status }: NixMachine): boolean {
  const healthy = status?.conditions?.find(({ type }) => type === 'Healthy');
  return healthy === undefined ? (status?.failedUnits ?? []).length === 0 : healthy.status !== 'False';
}

/** What a machine has in hand. */
function workOf(machine: NixMachine): Pick<Facts, 'own' | 'unanswered' | 'inHand'> {
  const { desired, attempt, current } = machine.status ?? {};
  const own = ownAttempt(machine.status ?? {});
  const unanswered =
    desired?.go === true && own === undefined && (current === undefined || current.closure !== desired.closure);
  const isAtWork = attempt !== undefined && !isFinal(attempt) && isSwitching(attempt, desired);
  return { own, unanswered, inHand: unanswered || isToRestart(machine, own) || isAtWork };
}

/** Whether a machine counts as available in a budget: the same as `isHealthy` of its facts, at a fraction of the work. */
export function isAvailable(machine: NixMachine): boolean {
  return isOnline(machine) && isWell(machine) && !workOf(machine).inHand;
}

/** An attempt that only fetches changes nothing: it is in hand from its go on. */
function isSwitching(attempt: Attempt, desired: Desired | undefined): boolean {
  if (!isPreparing(attempt)) return true;
  return attempt.desiredId === desired?.id && attempt.to === desired.closure && desired.go;
}

/** What root activated by hand stays until it is released at the machine, or a person orders something newer. */
function heldOf(machine: NixMachine): Facts['hold'] {
  const held = machine.status?.held;
  if (held === undefined) return undefined;
  return { reason: `activated by hand at ${held.since}; floe-agent release on it ends this`, until: undefined };
}

/** A time that can't be read holds for ever: rather still than moved. */
function holdOf(machine: NixMachine, now: number): Facts['hold'] {
  const { hold } = machine.spec;
  if (hold === undefined) return heldOf(machine);
  const until = timeMs(hold.until);
  return until !== undefined && until <= now ? undefined : { reason: hold.reason, until };
}

/** Whether it was told that it may restart, which its closure needs, and has not done so yet. */
function isToRestart({ spec, status }: NixMachine, own: Attempt | undefined): boolean {
  const isAllowed = status?.desired?.reboot === true && (spec.activation?.reboot ?? 'Never') !== 'Never';
  return isAllowed && own?.phase === 'RebootRequired';
}

/** Whether it restarts: it was told that it may, or does so already. */
export function isRebooting(machine: NixMachine): boolean {
  return isToRestart(machine, workOf(machine).own) || machine.status?.attempt?.phase === 'Rebooting';
}

/** When the order of the machine was carried out, in ms. */
export function finishedAt({ machine }: Facts, now: number): number {
  return attemptEnd(machine.status ?? {}, now);
}

/** Whether the machine is healthy: online, not sick, with nothing in hand. */
export function isHealthy(facts: Facts): boolean {
  return facts.online && facts.well && !facts.inHand;
}

/**
 * Whether the machine is off, and was so before its go: it takes no slot. Times of a connection are whole seconds, cut off:
 * one that went off in the second of its go may have begun. So may one of which only the day is known, if it was the same.
 */
export function wasOffBeforeGo({ online, connectionSinceAtLatest: since, desired }: Facts): boolean {
  const go = desired?.go === true ? timeMs(desired.since) : undefined;
  return !online && since !== undefined && go !== undefined && since < wholeSeconds(go);
}
