// Decides what an attempt does next from what its last step came to. Pure: no clock, no file, no process.
import { describeRun, exitCodeOf, judgeRun } from './exit-code.ts';
import type { Confirmation, Health, Outcome } from './outcome.ts';
import { type AttemptRecord, type Before, crossesReboot, type Order, runsNew } from './record.ts';
import {
  displaced,
  end,
  enter,
  lockSeconds,
  type Moment,
  remark,
  retryLock,
  sentence,
  stamped,
  undo,
} from './transition.ts';
import { checkedUndo, firstUndo, undidProfile, undidRun } from './way-back.ts';

const UNCHANGED = 'Nothing was changed.';
const WAITS = 'It starts with the next boot; the machine waits for leave to restart.';
/** Name of the check that is always made, as it stands among the results. */
const BUILT_IN_CHECK = 'units';

function toConfirm(record: AttemptRecord, at: Moment): AttemptRecord {
  if (record.order.confirm === 'none') return toCommit(record);
  return enter(record, 'confirm', { confirmBy: at.monotonicMs + record.order.confirmTimeoutSeconds * 1000 });
}

function toCommit(record: AttemptRecord): AttemptRecord {
  if (record.order.mode === 'test') return end(record, 'Committed', 'It runs until the next boot.');
  return enter(record, 'arm-commit', { lockTries: 0 });
}

/** What only a boot can start: kept until then, or taken across the boot within this attempt. */
function toReboot(record: AttemptRecord, at: Moment): AttemptRecord {
  const waits: AttemptRecord = { ...record, rebootOnly: true };
  if (!crossesReboot(record)) return toConfirm(waits, at);
  const { before } = record;
  // The boot entry may name the new closure already, from an attempt that only waited: the way back is what runs.
  const way = before?.profile === record.order.closure ? { before: { ...before, profile: before.system } } : {};
  return enter({ ...waits, ...way, staged: true }, 'arm-commit', { lockTries: 0 });
}

function begin(record: AttemptRecord, outcome: Extract<Outcome, { step: 'begin' }>, at: Moment): AttemptRecord {
  const { closure, mode } = record.order;
  const { seen, inhibitors = [], target } = outcome;
  if (outcome.complaint !== undefined) return end(record, 'Failed', `${outcome.complaint} ${UNCHANGED}`);
  if (seen.current === undefined) {
    const message =
      '/run/current-system names no closure in the Nix store, so there is no way back. Activate a NixOS system by hand once.';
    return end(record, 'Failed', message);
  }
  const known: AttemptRecord = {
    ...record,
    ...(target === undefined ? {} : { target }),
    before: {
      system: seen.current,
      ...(seen.profile === undefined ? {} : { profile: seen.profile }),
      failedUnits: outcome.failedUnits,
      bootId: seen.bootId,
      program: outcome.program,
      ...(outcome.online === undefined ? {} : { online: outcome.online }),
      ...(outcome.activeUnits === undefined ? {} : { activeUnits: outcome.activeUnits }),
    },
  };
  const booted = seen.profile === closure && seen.bootDefault?.closure === closure;
  if (seen.current === (target ?? closure)) {
    if (mode === 'test' || booted) return end(known, 'Committed', 'It runs already.');
    return enter(known, 'arm-commit');
  }
  if (mode === 'boot') return toBoot(known, booted, at);
  if (inhibitors.length === 0) return enter(known, 'arm-switch');
  const keys = inhibitors.join(', ');
  if (mode === 'test') {
    const message = `Mode test is refused: the running system must not be switched to it while it runs (switch-inhibitors: ${keys}). Use mode switch or boot.`;
    return end(known, 'Failed', `${message} ${UNCHANGED}`);
  }
  const why = `It was not switched to but waits for a boot, since the running system forbids the switch (switch-inhibitors: ${keys}).`;
  return toBoot(remark(known, why), booted, at);
}

function toBoot(record: AttemptRecord, booted: boolean, at: Moment): AttemptRecord {
  if (booted && !crossesReboot(record)) return end(record, 'RebootRequired', 'The next boot starts it already.');
  return toReboot(record, at);
}

function needsReboot(record: AttemptRecord, untouched: boolean, at: Moment): AttemptRecord {
  if (!untouched) return undo(record, 'RolledBack', 'The switch asked for a reboot half-way (exit code 100).');
  const whole = { ...record, systemTouched: false };
  if (record.order.mode !== 'test') return toReboot(whole, at);
  const message = 'Only a reboot can start it (exit code 100): use mode switch or boot.';
  return end(whole, 'Failed', `${message} ${UNCHANGED}`);
}

function busy(record: AttemptRecord, at: Moment): AttemptRecord {
  const whole = { ...record, systemTouched: false };
  const again = retryLock(whole, at, lockSeconds(record));
  // Whoever held the lock has probably changed what runs: look again.
  if (again !== undefined) return enter(again, 'begin');
  const message = `Another switch-to-configuration held its lock for more than ${lockSeconds(record)} s (exit code 11).`;
  return end(whole, 'Failed', `${message} ${UNCHANGED}`);
}

function switched(record: AttemptRecord, outcome: Extract<Outcome, { step: 'switch' }>, at: Moment): AttemptRecord {
  const { before } = record;
  const untouched = outcome.current === before?.system && !outcome.unfinished;
  const verdict = judgeRun(outcome.run, untouched);
  const code = exitCodeOf(outcome.run);
  const seen: AttemptRecord = code === undefined ? record : { ...record, exitCode: code };
  switch (verdict.kind) {
    case 'active':
    case 'degraded':
      if (!runsNew(record, outcome.current)) {
        const runs = outcome.current ?? 'nothing known';
        return undo(seen, 'RolledBack', `The switch ended with exit code ${code}, but ${runs} runs.`);
      }
      return enter(seen, outcome.handOver ? 'arm-start' : 'arm-health');
    case 'reboot-required':
      return needsReboot(seen, untouched, at);
    case 'busy':
      return busy(seen, at);
    case 'refused':
      return end({ ...seen, systemTouched: false }, 'Failed', `${sentence(verdict.message)} ${UNCHANGED}`);
    case 'broken':
      return undo(seen, 'RolledBack', sentence(verdict.message));
  }
}

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

function wroteBoot(record: AttemptRecord, outcome: Extract<Outcome, { step: 'boot' }>, at: Moment): AttemptRecord {
  const code = exitCodeOf(outcome.run);
  if (code === 0) {
    if (record.staged && !record.cameUp) return enter(record, 'stand-down');
    if (record.rebootOnly) return end(record, 'RebootRequired', 'It starts with the next boot.');
    return end(record, 'Committed', 'It runs, and the next boot starts it.');
  }
  const again = code === 11 ? retryLock(record, at, lockSeconds(record)) : undefined;
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

/** The attempt after a step. Throws nothing; an outcome that does not fit the step changes nothing. */
export function next(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
  return stamped(record, decide(record, outcome, at), at);
}

function decide(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
  if (outcome.step !== record.step) return record;
  switch (outcome.step) {
    case 'fetch':
      if (outcome.result.kind !== 'fetched') return end(record, 'Failed', `${outcome.result.message} ${UNCHANGED}`);
      // Also with the go: it may have been taken back meanwhile.
      return enter(record, 'await-go');
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
      if (outcome.result.kind === 'ok') return enter(record, 'boot');
      return undo(record, 'RolledBack', `The system profile could not be set: ${outcome.result.message}.`);
    case 'boot':
      return wroteBoot(record, outcome, at);
    case 'stand-down':
      if (outcome.canReboot)
        return enter(record, 'await-reboot', { message: [WAITS, ...(record.remarks ?? [])].join(' ') });
      return end(record, 'RebootRequired', "It starts with the next boot; restarting is not the agent's to do here.");
    case 'await-reboot':
      return allowed(record, outcome.order);
    case 'restart': {
      const why = outcome.result.kind === 'failed' ? outcome.result.message : 'it did not happen';
      return undo(record, 'Unconfirmed', `The machine could not be restarted: ${why}.`);
    }
    case 'undo-profile':
      return undidProfile(record, outcome.left);
    case 'undo-boot':
    case 'undo-system':
      return undidRun(record, outcome, at);
    case 'undo-units':
      return enter(record, 'undo-check');
    case 'undo-check':
      return checkedUndo(record, outcome, at);
    case 'reboot': {
      const why = outcome.result.kind === 'failed' ? outcome.result.message : 'it did not happen';
      return end(
        { ...record, undone: false },
        'Failed',
        `${record.ending?.message ?? ''} The roll-back failed, and so did the reboot: ${why}.`,
      );
    }
    case 'disarm': {
      const { phase, message } = record.ending ?? { phase: 'Failed' as const, message: 'It ended without a reason.' };
      const { activeUnits: _, ...before } = record.before ?? {};
      const kept = record.before === undefined ? {} : { before: before as Before };
      return { ...record, ...kept, step: 'done', phase, message, finishedAt: at.time };
    }
  }
}
