// `floe-agent rollback` of a user: back to the system that ran before, as an attempt of this machine's own.
import { isDone, isReplaceable } from '../attempt/record.ts';
import type { Journal } from '../journal/journal.ts';

export type Earlier =
  | { readonly kind: 'closure'; readonly closure: string }
  | { readonly kind: 'none'; readonly message: string };

/** The system before the one that runs, as the journal knows it. */
export function earlierSystem(journal: Journal, current: string | undefined): Earlier {
  const { attempt } = journal;
  if (attempt !== undefined && !isDone(attempt) && !isReplaceable(attempt)) {
    return { kind: 'none', message: 'The system is being switched right now; try again when that is over.' };
  }
  const known = [attempt, ...journal.ended].filter((one) => one !== undefined && isDone(one));
  // The newest attempt that brought what runs says what ran before.
  const brought = known.find(
    (one) => one?.phase === 'Committed' && one.order.closure === current && one.before?.system !== current,
  );
  if (current === undefined || brought?.before === undefined) {
    return { kind: 'none', message: 'There is no earlier system that floe-agent knows of; ask an admin.' };
  }
  return { kind: 'closure', closure: brought.before.system };
}

/** Name of the attempt: says in the status whose it is. */
export function userRollbackId(now: Date): string {
  return `user-rollback-${Math.floor(now.getTime() / 1000)}`;
}

/** Arguments of the agent that carry it out, with the checks and the way back of any attempt. */
export function rollbackArguments(closure: string, attempt: string): readonly string[] {
  return ['apply', closure, '--attempt', attempt, '--mode', 'switch', '--confirm', 'none'];
}
