// Consent of the people at a machine, as its spec and status say it: who is asked, until when, and what they answered.
import { durationSeconds } from '@floe/crds/duration';
import type { NixMachine } from '@floe/crds/nix-machine';
import { ownAttempt } from './own-attempt.ts';
import { specOf } from './standing.ts';

const DEFER_LIMIT_SECONDS = 72 * 3600;
/** Owners that a sentence names. */
const OWNERS_SHOWN = 3;

/** Whether the people at the machine are asked before it switches. */
export function asksConsent(machine: NixMachine): boolean {
  return specOf(machine).activation?.consent === 'Ask';
}

/**
 * When the machine gets its go without a yes, in ms: `deferLimit` after it was told to fetch. Counted from the order
 * and not from what the machine says, so that nobody on the machine can move it. Undefined where nobody is asked.
 */
export function consentDeadline(machine: NixMachine): number | undefined {
  const { desired } = machine.status ?? {};
  if (desired === undefined || desired.go || !asksConsent(machine)) return undefined;
  const { deferLimit } = specOf(machine).activation ?? {};
  const seconds = (deferLimit === undefined ? undefined : durationSeconds(deferLimit)) ?? DEFER_LIMIT_SECONDS;
  const since = Date.parse(desired.since);
  return Number.isNaN(since) ? undefined : since + seconds * 1000;
}

export type ConsentWait = {
  /** When it gets its go without a yes, in ms. */
  readonly until: number;
  /** For people: what it waits for, whose machine it is, until when. */
  readonly message: string;
};

/** What a machine that has fetched waits for; undefined where it may go, or has not fetched yet. */
export function consentWait(machine: NixMachine, now: number): ConsentWait | undefined {
  const until = consentDeadline(machine);
  const { desired, consent } = machine.status ?? {};
  if (until === undefined || until <= now) return undefined;
  if (ownAttempt(machine.status ?? {})?.phase !== 'Fetched') return undefined;
  const answer = consent?.desiredId === desired?.id ? consent : undefined;
  if (answer?.state === 'Approved') return undefined;
  const putOff =
    answer?.state === 'Deferred' && answer.until !== undefined ? `, put off until ${minute(answer.until)}` : '';
  const end = minute(new Date(until).toISOString());
  return {
    until,
    message: `waits for a yes of its users${ownersOf(machine)}${putOff}: floe-agent approve on ${machine.metadata.name}; switches by itself at ${end}`,
  };
}

function ownersOf(machine: NixMachine): string {
  const owners = specOf(machine).owners ?? [];
  if (owners.length === 0) return '';
  const shown = owners.slice(0, OWNERS_SHOWN).join(', ');
  return ` (${owners.length > OWNERS_SHOWN ? `${shown} and ${owners.length - OWNERS_SHOWN} more` : shown})`;
}

/** `2026-03-01T08:00:00Z` -> `2026-03-01 08:00 UTC`. */
function minute(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;
}
