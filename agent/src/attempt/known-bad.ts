// Which orders are not begun because their closure failed on this machine before. Pure.
import type { Journal } from '../journal/journal.ts';
import { type AttemptRecord, isDone, isFor, newAttempt, type Order } from './record.ts';

/** Reasons of an order that are not held up: somebody retries, or the fleet goes back. */
const ANYWAY: ReadonlySet<string> = new Set(['Retry', 'Rollback']);

/** What an attempt that is over says of its closure; undefined where it says nothing. */
function verdictOf(record: AttemptRecord): 'good' | 'bad' | undefined {
  if (!isDone(record)) return undefined;
  if (record.knownBad) return 'bad';
  switch (record.phase) {
    case 'Committed':
    // All checks of the machine itself had passed.
    case 'Unconfirmed':
      return 'good';
    case 'Cancelled':
      // Somebody retried, and another order came between.
      return record.order.reason === 'Retry' ? 'good' : undefined;
    case 'RolledBack':
    case 'Failed':
      // Nothing is known of a closure that could not be fetched.
      return record.before === undefined ? undefined : 'bad';
    default:
      return undefined;
  }
}

/**
 * The newest attempt by which the closure counts as bad here; undefined where the order may be begun. Orders of root at
 * the console, of the agent itself, and of hubs that give no reason are always begun.
 */
export function knownBadBy(order: Order, journal: Journal): AttemptRecord | undefined {
  const { origin, revert, reason, closure, specialisation } = order;
  if (origin !== 'hub' || revert || reason === undefined || ANYWAY.has(reason)) return undefined;
  const known = [journal.attempt, ...journal.ended].filter((one) => one !== undefined);
  const last = known.find(
    (one) =>
      one.order.closure === closure &&
      one.order.specialisation === specialisation &&
      !isFor(one, order) &&
      verdictOf(one) !== undefined,
  );
  return last === undefined || verdictOf(last) === 'good' ? undefined : last;
}

/** The attempt for an order: begun, or over at once where its closure is known to be bad. */
export function attemptFor(order: Order, journal: Journal, time: string): AttemptRecord {
  const fresh = newAttempt(order, time);
  const bad = knownBadBy(order, journal);
  if (bad === undefined) return fresh;
  const first = bad.knownBad
    ? bad.message
    : `Attempt ${bad.order.id} of ${bad.finishedAt ?? bad.startedAt}: ${bad.message}`;
  const message = `${KNOWN} ${first?.replace(`${KNOWN} `, '') ?? ''}`.trim();
  return { ...fresh, step: 'done', phase: 'Failed', knownBad: true, finishedAt: time, message };
}

const KNOWN =
  'This closure failed on this machine before, so it is not tried again until somebody retries. Nothing was changed.';

/** The attempt that goes on since the machine may restart now; undefined where there is none. */
export function reopened(order: Order, journal: Journal): AttemptRecord | undefined {
  const { attempt } = journal;
  if (attempt === undefined || !order.mayReboot || !order.go || attempt.phase !== 'RebootRequired') return undefined;
  if (!isFor(attempt, order) || !isDone(attempt) || attempt.before === undefined) return undefined;
  const { ending: _, finishedAt: __, ...open } = attempt;
  const { before } = attempt;
  // Where an earlier attempt had written the boot entry, the way back is what runs.
  const way = before.profile === order.closure ? { ...before, profile: before.system } : before;
  return { ...open, order, before: way, step: 'await-reboot', staged: true, bootTouched: true };
}
