// Decides what is to be done now: an attempt that was left unfinished, else the hub's newest order. Pure.
import type { Journal } from '../journal/journal.ts';
import { attemptFor, reopened } from './known-bad.ts';
import type { Seen } from './outcome.ts';
import { type AttemptRecord, isDone, isFor, isReplaceable, type Order } from './record.ts';
import { resume } from './resume.ts';

export type Situation = {
  readonly journal: Journal;
  /** The hub's newest order that was accepted. */
  readonly wanted: Order | undefined;
  /** Whether that one was dealt with. */
  readonly handled: boolean;
  readonly canReboot: boolean;
  readonly seen: Seen;
  readonly time: string;
};

export type Choice =
  /** Carry on with this record, new or not. */
  | { readonly kind: 'carry-on'; readonly record: AttemptRecord }
  /** Store that this attempt was given up, and choose again. */
  | { readonly kind: 'drop'; readonly record: AttemptRecord }
  /** Store that orders up to this sequence were accepted. */
  | { readonly kind: 'accept'; readonly sequence: number }
  | { readonly kind: 'nothing' };

function dropped(record: AttemptRecord, finishedAt: string): AttemptRecord {
  const why = record.order.origin === 'local' ? 'It was given up at the console.' : 'Another order took its place.';
  return { ...record, step: 'done', phase: 'Cancelled', message: `${why} Nothing was changed.`, finishedAt };
}

/** Whether an unfinished attempt gives way: nothing was touched, and nobody waits for it any more. */
function givesWay(last: AttemptRecord, wanted: Order | undefined): boolean {
  if (!isReplaceable(last)) return false;
  return last.order.origin === 'local' || (wanted !== undefined && !isFor(last, wanted));
}

/** What is to be done now. */
export function choose({ journal, wanted, handled, canReboot, seen, time }: Situation): Choice {
  const last = journal.attempt;
  if (last !== undefined && !isDone(last)) {
    if (givesWay(last, wanted)) return { kind: 'drop', record: dropped(last, time) };
    return { kind: 'carry-on', record: resume(last, seen) };
  }
  if (wanted === undefined) return { kind: 'nothing' };
  if (!handled) return { kind: 'carry-on', record: attemptFor(wanted, journal, time) };
  const again = canReboot ? reopened(wanted, journal) : undefined;
  if (again !== undefined) return { kind: 'carry-on', record: resume(again, seen) };
  return wanted.sequence > journal.sequence ? { kind: 'accept', sequence: wanted.sequence } : { kind: 'nothing' };
}
