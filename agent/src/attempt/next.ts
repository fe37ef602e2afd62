// Decides what an attempt does next from what its last step came to. Pure: no clock, no file, no process.
import { begin } from './begin.ts';
import { describeRun, exitCodeOf, isLockTaken } from './exit-code.ts';
import { toCommit, toConfirm } from './forward.ts';
import type { Confirmation, Done, Fetched, Health, Outcome, Seen } from './outcome.ts';
import { type AttemptRecord, type Before, type Order, runsNew } from './record.ts';
import { switched } from './switched.ts';
import {
  displaced,
  end,
  enter,
  lockSeconds,
  type Moment,
  remark,
  retryLock,
  stamped,
  UNCHANGED,
  undo,
} from './transition.ts';
import { checkedUndo, firstUndo, undidProfile, undidRun } from './way-back.ts';

const WAITS = 'It starts with the next boot; the machine waits for leave to restart.';
type BootSeen = Pick<Seen, 'bootDefault' | 'bootDefaultIs'>;
/** Name of the check that is always made, as it stands among the results. */
const BUILT_IN_CHECK = 'units';

function answered(record: AttemptRecord, answer: Confirmation): AttemptRecord {
  switch (answer.kind) {
    case 'confirmed':
      return toCommit(record);
    case 'denied':
      return undo(record, 'Cancelled', answer.message);
    case 'offline':
      return toCommit(remark(record, answer.message));
    case 'unreachable':
      return undo(record, 'Unconfirmed', answer.message);
  }
}

const LOADER_REMEDY =
  "Look which entry the boot loader's default is set to, and how many generations its menu may have.";

/** The closure that the next boot starts in place of the new one; undefined where it is the new one, or can't be read. */
function bootsAnother({ order }: AttemptRecord, { bootDefault, bootDefaultIs }: BootSeen): string | undefined {
  if (bootDefault?.verified !== true) return undefined;
  const { closure } = bootDefault;
  return closure === order.closure || bootDefaultIs?.closure === order.closure ? undefined : closure;
}

/** The installer of the boot loader ended well; what the loader itself says decides what that is worth. */
function bootWritten(record: AttemptRecord, seen: BootSeen): AttemptRecord {
  const { staged, cameUp, rebootOnly } = record;
  const other = bootsAnother(record, seen);
  if (other !== undefined) {
    const says = `its boot entry was written (exit code 0), but the boot loader starts ${other} at the next boot. ${LOADER_REMEDY}`;
    if ((staged && !cameUp) || rebootOnly) return undo(record, 'RolledBack', `It needs a boot: ${says}`);
    return end(record, 'Committed', `It runs; ${says}`);
  }
  if (staged && !cameUp) return enter(record, 'stand-down');
  const known = seen.bootDefault?.verified === true;
  if (rebootOnly) {
    const written = 'Its boot entry is written; the boot loader could not be read to see that it is the next to start.';
    return end(record, 'RebootRequired', known ? 'It starts with the next boot.' : written);
  }
  const starts = known ? 'the next boot starts it' : 'its boot entry is written';
  return end(record, 'Committed', `It runs, and ${starts}.`);
}

function wroteBoot(record: AttemptRecord, outcome: Extract<Outcome, { step: 'boot' }>, at: Moment): AttemptRecord {
  const code = exitCodeOf(outcome.run);
  if (code === 0) return bootWritten(record, outcome.seen);
  const again = isLockTaken(outcome.run) ? retryLock(record, at, lockSeconds(record)) : undefined;
  if (again !== undefined) return enter(again, 'boot');
  const failed = code === undefined ? record : { ...record, exitCode: code };
  return undo(failed, 'RolledBack', `The boot entry could not be written (${describeRun(outcome.run)}).`);
}

type Armed = Extract<Outcome, { step: `arm-${string}` }>;

function armed(before: AttemptRecord, outcome: Armed): AttemptRecord {
  const failure = outcome.result.kind === 'failed' ? outcome.result.message : undefined;
  const record = failure === undefined ? { ...before, armed: before.armed + 1 } : before;
  // A way back without a timer is better than none.
  if (outcome.step === 'arm-undo') return firstUndo(record);
  if (failure !== undefined) {
    const message = `The timer that would undo a bad switch can't be armed: ${failure}.`;
    if (outcome.step === 'arm-switch') return end(record, 'Failed', `${message} ${UNCHANGED}`);
    return undo(record, 'RolledBack', message);
  }
  switch (outcome.step) {
    case 'arm-switch':
      return enter(record, 'switch', { systemTouched: true });
    case 'arm-start':
      return enter(record, 'hand-over');
    case 'arm-health':
      return enter(record, 'health');
    case 'arm-commit':
      if (record.systemTouched && !runsNew(record, outcome.current)) return displaced(record, outcome.current);
      return enter(record, 'profile', { bootTouched: true });
  }
}

/** Whether all that was found wrong is units, and the order says that this is let pass. */
function isLetPass({ order }: AttemptRecord, { checks }: Health): boolean {
  if (order.keepDegraded !== true) return false;
  if (checks === undefined) return order.healthChecks.length === 0;
  return checks.every((one) => one.passed || one.name === BUILT_IN_CHECK);
}

function checked(before: AttemptRecord, result: Health, at: Moment): AttemptRecord {
  const record = result.checks === undefined ? before : { ...before, checks: result.checks };
  if (result.kind === 'healthy') return toConfirm({ ...record, passed: true }, at);
  const failed: AttemptRecord = { ...record, failedUnits: result.units };
  if (!isLetPass(record, result)) return undo(failed, 'RolledBack', result.message);
  return toConfirm({ ...remark(failed, `Kept though units fail: ${result.message}`), passed: true }, at);
}

/** The machine may restart, or another order took the place of this one. */
function allowed(record: AttemptRecord, order: Order | undefined): AttemptRecord {
  if (order === undefined)
    return undo(record, 'Cancelled', 'Another order took its place before the machine was restarted.');
  return enter(record, 'restart', { order });
}

/** The boot entry is written for this attempt, and no timer is armed any more. */
function stoodDown(record: AttemptRecord, canReboot: boolean): AttemptRecord {
  if (canReboot) return enter(record, 'await-reboot', { message: [WAITS, ...(record.remarks ?? [])].join(' ') });
  return end(record, 'RebootRequired', "It starts with the next boot; restarting is not the agent's to do here.");
}

function startedAgain(record: AttemptRecord, result: Done): AttemptRecord {
  if (result.kind === 'ok') return enter(record, 'undo-check');
  return enter(
    remark(record, `Not all units that ran before could be started again: ${result.message}.`),
    'undo-check',
  );
}

function setProfile(record: AttemptRecord, result: Done): AttemptRecord {
  if (result.kind === 'ok') return enter(record, 'boot');
  return undo(record, 'RolledBack', `The system profile could not be set: ${result.message}.`);
}

function whyNot(result: Done): string {
  return result.kind === 'failed' ? result.message : 'it did not happen';
}

function fetched(record: AttemptRecord, result: Fetched): AttemptRecord {
  if (result.kind !== 'fetched') return end(record, 'Failed', `${result.message} ${UNCHANGED}`);
  // Also with the go: it may have been taken back meanwhile.
  return enter(record, 'await-go');
}

/** The end: what only the way back needed is forgotten. */
function finished(record: AttemptRecord, at: Moment): AttemptRecord {
  const { phase, message } = record.ending ?? { phase: 'Failed' as const, message: 'It ended without a reason.' };
  const { activeUnits: _, ...before } = record.before ?? {};
  const kept = record.before === undefined ? {} : { before: before as Before };
  return { ...record, ...kept, step: 'done', phase, message, finishedAt: at.time };
}

/** The attempt after a step. Throws nothing; an outcome that does not fit the step changes nothing. */
export function next(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
  return stamped(record, decide(record, outcome, at), at);
}

function decide(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
  if (outcome.step !== record.step) return record;
  switch (outcome.step) {
    case 'fetch':
      return fetched(record, outcome.result);
    case 'await-go':
      return enter(record, 'begin', { order: outcome.order });
    case 'begin':
      return begin(record, outcome, at);
    case 'arm-switch':
    case 'arm-start':
    case 'arm-health':
    case 'arm-commit':
    case 'arm-undo':
      return armed(record, outcome);
    case 'switch':
      return switched(record, outcome, at);
    case 'hand-over':
      return enter(record, 'arm-health');
    case 'health':
      return checked(record, outcome.result, at);
    case 'confirm':
      return answered(record, outcome.result);
    case 'profile':
      return setProfile(record, outcome.result);
    case 'boot':
      return wroteBoot(record, outcome, at);
    case 'stand-down':
      return stoodDown(record, outcome.canReboot);
    case 'await-reboot':
      return allowed(record, outcome.order);
    case 'restart':
      return undo(record, 'Unconfirmed', `The machine could not be restarted: ${whyNot(outcome.result)}.`);
    case 'undo-profile':
      return undidProfile(record, outcome.left);
    case 'undo-boot':
    case 'undo-system':
      return undidRun(record, outcome, at);
    case 'undo-units':
      return startedAgain(record, outcome.result);
    case 'undo-check':
      return checkedUndo(record, outcome, at);
    case 'reboot': {
      const failed = `The roll-back failed, and so did the reboot: ${whyNot(outcome.result)}.`;
      return end({ ...record, undone: false }, 'Failed', `${record.ending?.message ?? ''} ${failed}`);
    }
    case 'disarm':
      return finished(record, at);
  }
}
