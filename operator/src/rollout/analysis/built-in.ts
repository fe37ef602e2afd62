// The check that every Rollout has: machines that it has updated stay healthy and connected.
import type { Member } from '../standing.ts';
import { finishedAt } from '../standing.ts';
import { isReachable } from '../threshold.ts';
import { spokenMs, wholeSeconds } from '../time.ts';

/** Comebacks after its update from which on a machine does not hold its connection. */
export const COMEBACKS = 3;
/** Only those so soon after the update count, in ms: later ones have other reasons. */
const SOON = 10 * 60_000;

type Bad = { readonly name: string; readonly at: number; readonly message: string };

export type BuiltInRules = {
  readonly successThreshold: number;
  /** Who had turned bad by then was accepted by a person. */
  readonly acceptedAt: number | undefined;
  readonly now: number;
};

/**
 * For what the machines that this run has updated fail it, or undefined. One that failed its batch counts there, and
 * not here.
 */
export function builtInFailure(members: readonly Member[], rules: BuiltInRules): string | undefined {
  const updated = members.filter(({ told, standing }) => told && standing.kind === 'updated');
  const { acceptedAt } = rules;
  const bad = updated
    .flatMap((member) => badOf(member, rules.now) ?? [])
    .filter(({ at }) => acceptedAt === undefined || at > acceptedAt)
    .sort((a, b) => a.at - b.at || (a.name < b.name ? -1 : 1));
  const [first] = bad;
  if (first === undefined || isReachable(bad.length, updated.length, rules.successThreshold)) return undefined;
  const more = bad.length > 1 ? `; and ${bad.length - 1} more turned bad` : '';
  return `${first.name}: ${first.message}${more}`;
}

function badOf({ facts }: Member, now: number): Bad | undefined {
  const end = finishedAt(facts, now);
  const { name, well, wellSince } = facts;
  // Times of conditions are cut: one that turned bad in the second of its commit did so by its update.
  if (!well && wellSince !== undefined && wellSince >= wholeSeconds(end)) {
    const units = (facts.machine.status?.failedUnits ?? []).slice(0, 3).join(', ');
    const what = units === '' ? 'turned unhealthy' : `${units} failed`;
    return { name, at: wellSince, message: `${what} ${spokenMs(Math.max(0, wellSince - end))} after its update` };
  }
  const { connection, attempt } = facts.machine.status ?? {};
  const comebacks = connection?.comebacks;
  const { connectionSince: at, connectionSinceAtLatest: latest } = facts;
  const isItsOwn = comebacks !== undefined && comebacks.desiredId === attempt?.desiredId;
  const isSoon = latest !== undefined && latest <= end + SOON;
  if (!isItsOwn || at === undefined || comebacks.count < COMEBACKS || !isSoon) return undefined;
  return { name, at, message: `lost its connection ${comebacks.count} times within ${spokenMs(SOON)} of its update` };
}
