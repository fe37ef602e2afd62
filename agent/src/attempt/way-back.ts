// The decisions of a roll-back: profile, boot entry, system, and whether all of it is back.
import { describeRun, exitCodeOf } from './exit-code.ts';
import type { Outcome, Seen } from './outcome.ts';
import type { AttemptRecord } from './record.ts';
import { end, enter, type Moment, retryLock } from './transition.ts';

/** First step of the roll-back once its timer is armed. */
export function firstUndo(record: AttemptRecord): AttemptRecord {
  return enter(record, record.bootTouched ? 'undo-profile' : 'undo-system');
}

/** Whether `switch` of the old closure brings back system and boot entry in one go. */
export function undoesAtOnce(record: AttemptRecord): boolean {
  return record.systemTouched && record.bootTouched && record.before?.profile === record.before?.system;
}

/** After the profile: the boot entry, then the system. */
export function undidProfile(record: AttemptRecord): AttemptRecord {
  if (undoesAtOnce(record)) return enter(record, 'undo-system');
  if (record.before?.profile !== undefined) return enter(record, 'undo-boot');
  return enter(record, record.systemTouched ? 'undo-system' : 'undo-check');
}

/** After a run of the old closure. What it came to is judged by what runs then, not by its exit code. */
export function undidRun(
  record: AttemptRecord,
  { step, run }: Extract<Outcome, { step: 'undo-boot' | 'undo-system' }>,
  at: Moment,
): AttemptRecord {
  const again = exitCodeOf(run) === 11 ? retryLock(record, at, record.order.switchTimeoutSeconds) : undefined;
  if (again !== undefined) return enter(again, step);
  const said = exitCodeOf(run) === 0 ? record : { ...record, undoFault: describeRun(run) };
  if (step === 'undo-boot' && record.systemTouched) return enter(said, 'undo-system', { lockTries: 0 });
  return enter(said, 'undo-check');
}

function bootIsBack(record: AttemptRecord, seen: Seen): boolean {
  if (!record.bootTouched) return true;
  const { before } = record;
  if (seen.profile !== before?.profile) return false;
  return seen.bootDefault?.verified !== true || seen.bootDefault.closure === (before?.profile ?? before?.system);
}

/** The end of a roll-back: what the machine says of itself counts. */
export function checkedUndo(record: AttemptRecord, outcome: Extract<Outcome, { step: 'undo-check' }>): AttemptRecord {
  const { before, ending } = record;
  const { seen } = outcome;
  const why = ending?.message ?? '';
  const back = before?.system;
  const systemIsBack = !record.systemTouched || seen.current === back;
  if (systemIsBack && bootIsBack(record, seen)) {
    const fresh = outcome.failedUnits.filter((unit) => !before?.failedUnits.includes(unit));
    const also = fresh.length === 0 ? '' : ` There ${fresh.join(', ')} failed, too.`;
    const where = record.systemTouched
      ? `back on ${back}`
      : `still on ${seen.current}, and the next boot starts what it did before`;
    return end(record, ending?.phase ?? 'RolledBack', `${why} The machine is ${where}.${also}`);
  }
  const bootsOld = seen.bootDefault?.closure === back;
  if (!systemIsBack && outcome.canReboot && bootsOld && !record.rebooted) {
    return enter(record, 'reboot', { rebooted: true });
  }
  const fault = record.undoFault === undefined ? '' : ` (${record.undoFault})`;
  const state = `it runs ${seen.current ?? 'an unknown system'}, and the next boot starts ${seen.bootDefault?.closure ?? 'an unknown one'}`;
  const remedy = 'Run switch-to-configuration of the old closure by hand.';
  return end(record, 'Failed', `${why} The roll-back to ${back} failed${fault}: ${state}. ${remedy}`);
}
