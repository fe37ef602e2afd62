// How a replica ends without harm to what its machines are in the middle of.
import type { NixMachine } from '@floe/crds/nix-machine';
import { ownAttempt } from '../conditions/own-attempt.ts';
import { isFinal } from '../conditions/standing.ts';

/** Sessions that are sent away each second at most, so that those who take them in are not flooded. */
const PER_SECOND = 400;
/** Share of the drain's time in which all sessions are sent away. */
const SPREAD_SHARE = 0.3;
/** Seconds after its go within which a machine that has not reported yet counts as busy with it. */
const TOLD_SECONDS = 60;
/** Phases in which nothing was touched yet. */
const AHEAD_OF_GO = ['Waiting', 'Fetching', 'Fetched'];

/** Whether a machine is in the middle of something that it may have to confirm. */
export function isInHand(machine: NixMachine, now: Date): boolean {
  const { desired, attempt } = machine.status ?? {};
  if (attempt !== undefined && !isFinal(attempt.phase) && !AHEAD_OF_GO.includes(attempt.phase)) return true;
  if (desired?.go !== true) return false;
  const own = ownAttempt(machine.status ?? {});
  if (own !== undefined) return !isFinal(own.phase);
  return now.getTime() - Date.parse(desired.since) < TOLD_SECONDS * 1000;
}

/** Whether nobody needs this replica for the machine any more: its attempt is over, or another replica has it. */
export function isSafe(machine: NixMachine | undefined, { replica, now }: { replica: string; now: Date }): boolean {
  if (machine === undefined || !isInHand(machine, now)) return true;
  const connection = machine.status?.connection;
  return connection?.online === true && connection.replica !== undefined && connection.replica !== replica;
}

/** Milliseconds between two sessions that are sent away. */
export function pauseBetween(sessions: number, drainSeconds: number): number {
  const seconds = Math.min(drainSeconds * SPREAD_SHARE, sessions / PER_SECOND);
  return sessions === 0 ? 0 : (seconds * 1000) / sessions;
}
