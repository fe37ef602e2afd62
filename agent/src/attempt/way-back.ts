// The decisions of a roll-back: profile, boot entry, system, and whether all of it is back.
import { describeRun, exitCodeOf, isLockTaken } from './exit-code.ts';
import { undoSeconds } from './limits.ts';
import type { Outcome, Seen } from './outcome.ts';
import type { AttemptRecord } from './record.ts';
import { end, enter, type Moment, remark, retryLock } from './transition.ts';

/** Runs of the way back that failed, before the machine restarts or a person has to come. */
const MAX_TRIES = 100;

/** First step of the roll-back once its timer is armed. */
export function firstUndo(record: AttemptRecord): AttemptRecord {
  return enter(record, record.bootTouched ? 'undo-profile' : 'undo-system');
}

/**
 * After the profile: the boot entry, then the system. Never both by one `switch`, which writes the boot entry first and
 * does nothing more where that fails: a /boot that can't be written must not keep the old system from coming back.
 */
export function undidProfile(before: AttemptRecord, left: string | undefined): AttemptRecord {
  const told = `The system profile was set to ${left} by somebody meanwhile, and is left so.`;
  const record = left === undefined ? before : remark({ ...before, leftProfile: left }, told);
  if (left !== undefined || record.before?.profile !== undefined) return enter(record, 'undo-boot');
  return enter(record, record.systemTouched ? 'undo-system' : 'undo-check');
}

/** After a run of the old closure. What it came to is judged by what runs then, not by its exit code. */
export function undidRun(
  record: AttemptRecord,
  { step, run }: Extract<Outcome, { step: 'undo-boot' | 'undo-system' }>,
  at: Moment,
): AttemptRecord {
  const again = isLockTaken(run) ? retryLock(record, at, undoSeconds(record.order)) : undefined;
  if (again !== undefined) return enter(again, step);
  const said = exitCodeOf(run) === 0 ? record : withFault(record, step, describeRun(run));
  // What was booted is undone by a boot; the live way is kept for where that is not to be had.
  const live = record.systemTouched && (!record.cameUp || record.rebooted);
  if (step === 'undo-boot' && live) return enter(said, 'undo-system', { lockTries: 0 });
  return enter(said, step === 'undo-system' ? 'undo-units' : 'undo-check');
}

function withFault(record: AttemptRecord, step: 'undo-boot' | 'undo-system', fault: string): AttemptRecord {
  return step === 'undo-boot' ? { ...record, undoBootFault: fault } : { ...record, undoFault: fault };
}

/** How the runs of the way back failed, in brackets; empty where none did. */
function faultsOf({ undoFault, undoBootFault }: AttemptRecord): string {
  const boot = undoBootFault === undefined ? undefined : `boot entry: ${undoBootFault}`;
  const faults = [undoFault, boot].filter((one) => one !== undefined);
  return faults.length === 0 ? '' : ` (${faults.join('; ')})`;
}

function bootIsBack(record: AttemptRecord, seen: Seen): boolean {
  if (!record.bootTouched) return true;
  const { before, leftProfile, order } = record;
  const profile = leftProfile ?? before?.profile;
  if (seen.profile !== profile) return false;
  if (seen.bootDefault?.verified !== true) return true;
  const { closure } = seen.bootDefault;
  // The boot loader may have started something else before, and the attempt does not change that.
  const asBefore = closure === before?.bootDefault && closure !== order.closure;
  return closure === (profile ?? before?.system) || asBefore;
}

function systemIsBack({ systemTouched, before, cameUp }: AttemptRecord, seen: Seen): boolean {
  if (!systemTouched || seen.current === before?.system) return true;
  // What ran before may never have been the one to boot.
  return cameUp === true && seen.current === before?.profile;
}

/** Whether the next boot starts what the machine is to go back to. */
function bootsOld({ before, cameUp }: AttemptRecord, seen: Seen): boolean {
  const closure = seen.bootDefault?.closure;
  return closure === before?.system || (cameUp === true && closure !== undefined && closure === before?.profile);
}

/** The last resort, which is said: before the restart, and with how the attempt ends. */
function restart(record: AttemptRecord): AttemptRecord {
  const why = record.cameUp
    ? 'The machine was restarted once more, into the old closure.'
    : `The old closure could not be brought back live${faultsOf(record)}, so the machine was restarted, once, as the last resort.`;
  const message = `${record.ending?.message ?? ''} ${why}`.trim();
  return enter(remark(record, why), 'reboot', { rebooted: true, message });
}

/** What else may bring the system back; undefined where nothing is left to be tried. */
function lastResort(
  record: AttemptRecord,
  { seen, canReboot }: { readonly seen: Seen; readonly canReboot: boolean },
  at: Moment,
): AttemptRecord | undefined {
  const { undoTries = 0, order } = record;
  // A clock that is behind is that of another boot.
  const since = Math.min(record.undoSince ?? at.monotonicMs, at.monotonicMs);
  const early = at.monotonicMs - since < (order.rebootAfterSeconds ?? 0) * 1000;
  const again = () => enter(record, 'undo-system', { undoSince: since, undoTries: undoTries + 1, lockTries: 0 });
  if (!record.cameUp && early && undoTries < MAX_TRIES) return again();
  if (canReboot && bootsOld(record, seen) && !record.rebooted) return restart(record);
  return record.cameUp && !record.rebooted && undoTries === 0 ? again() : undefined;
}

function isBack(record: AttemptRecord, outcome: Extract<Outcome, { step: 'undo-check' }>): AttemptRecord {
  const { before, ending } = record;
  const { seen } = outcome;
  const fresh = outcome.failedUnits.filter((unit) => !before?.failedUnits.includes(unit));
  const also = fresh.length === 0 ? '' : ` There ${fresh.join(', ')} failed, too.`;
  const { undoBootFault } = record;
  // Where the boot loader itself was read, what it says counts.
  const unsure = record.bootTouched && undoBootFault !== undefined && seen.bootDefault?.verified !== true;
  const boot = unsure
    ? ` The boot entry could not be written again (${undoBootFault}), and the boot loader can't be read: see what the next boot would start.`
    : '';
  const where = record.systemTouched
    ? `back on ${seen.current}`
    : `still on ${seen.current}, and the next boot starts what it did before`;
  return end(record, ending?.phase ?? 'RolledBack', `${ending?.message ?? ''} The machine is ${where}.${boot}${also}`);
}

/** The end of a roll-back: what the machine says of itself counts. */
export function checkedUndo(
  record: AttemptRecord,
  outcome: Extract<Outcome, { step: 'undo-check' }>,
  at: Moment,
): AttemptRecord {
  const { seen } = outcome;
  const back = systemIsBack(record, seen);
  if (back && bootIsBack(record, seen)) return isBack(record, outcome);
  const resort = back ? undefined : lastResort(record, outcome, at);
  if (resort !== undefined) return resort;
  const fault = faultsOf(record);
  const state = `it runs ${seen.current ?? 'an unknown system'}, and the next boot starts ${seen.bootDefault?.closure ?? 'an unknown one'}`;
  const remedy = 'Run switch-to-configuration of the old closure by hand.';
  const message = `${record.ending?.message ?? ''} The roll-back to ${record.before?.system} failed${fault}: ${state}. ${remedy}`;
  return end({ ...record, undone: false }, 'Failed', message);
}
