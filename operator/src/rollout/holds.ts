// Why machines do not move: one reason for each machine that is neither done nor told now.
import type { Member } from './standing.ts';
import { aloneReason, type Hold } from './tell.ts';
import { clockTime } from './time.ts';

type Reason = Omit<Hold, 'machine'>;

/** The reason of a machine whatever the step in hand is; undefined where it could move. */
export function fixedReason({ standing, facts }: Member, rollout: string, now: number): Reason | undefined {
  switch (standing.kind) {
    case 'notBuilt':
      return { reason: 'NotBuilt', message: standing.message };
    case 'soaking':
      return { reason: 'InProgress', message: `soaks until ${clockTime(standing.until, now)}` };
    case 'updating':
      return { reason: 'InProgress', message: facts.own?.phase === undefined ? 'told' : `is ${facts.own.phase}` };
    case 'failed':
      return { reason: 'Failed', message: `${standing.message}; tell it again: kubectl floe retry ${rollout}` };
    case 'knownBad':
      return {
        reason: 'KnownBad',
        message: `this closure failed on it before; tell it again: kubectl floe retry ${rollout}`,
      };
    default:
      return undefined;
  }
}

/** The reason of a machine that could move, but that nobody is told at the moment. */
export function commonReason(member: Member, common: Reason): Reason {
  return aloneReason(member.facts) ?? common;
}
