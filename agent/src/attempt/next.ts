// Decides what an attempt does next from what its last step came to. Pure: no clock, no file, no process.
import { describeRun, exitCodeOf, judgeRun } from './exit-code.ts';
import type { Confirmation, Outcome } from './outcome.ts';
import type { AttemptRecord } from './record.ts';
import { displaced, end, enter, lockSeconds, type Moment, retryLock, sentence, undo } from './transition.ts';
import { checkedUndo, firstUndo, undidProfile, undidRun } from './way-back.ts';

const UNCHANGED = 'Nothing was changed.';

function toConfirm(record: AttemptRecord, at: Moment): AttemptRecord {
  if (record.order.confirm === 'none') return toCommit(record);
  return enter(record, 'confirm', { confirmBy: at.monotonicMs + record.order.confirmTimeoutSeconds * 1000 });
}

function toCommit(record: AttemptRecord): AttemptRecord {
  if (record.order.mode === 'test') return end(record, 'Committed', 'It runs until the next boot.');
  return enter(record, 'arm-commit', { lockTries: 0 });
}

function begin(record: AttemptRecord, outcome: Extract<Outcome, { step: 'begin' }>, at: Moment): AttemptRecord {
  const { closure, mode } = record.order;
  const { seen } = outcome;
  if (outcome.complaint !== undefined) return end(record, 'Failed', `${outcome.complaint} ${UNCHANGED}`);
  if (seen.current === undefined) {
    const message =
      '/run/current-system names no closure in the Nix store, so there is no way back. Activate a NixOS system by hand once.';
    return end(record, 'Failed', message);
  }
  const known: AttemptRecord = {
    ...record,
    before: {
      system: seen.current,
      ...(seen.profile === undefined ? {} : { profile: seen.profile }),
      failedUnits: outcome.failedUnits,
      bootId: seen.bootId,
      program: outcome.program,
    },
  };
  const booted = seen.profile === closure && seen.bootDefault?.closure === closure;
  if (seen.current === closure) {
    if (mode === 'test' || booted) return end(known, 'Committed', 'It runs already.');
    return enter(known, 'arm-commit');
  }
  if (mode !== 'boot') return enter(known, 'arm-switch');
  if (booted) return end(known, 'RebootRequired', 'The next boot starts it already.');
  return toConfirm({ ...known, rebootOnly: true }, at);
}

function needsReboot(record: AttemptRecord, untouched: boolean, at: Moment): AttemptRecord {
  if (!untouched) return undo(record, 'RolledBack', 'The switch asked for a reboot half-way (exit code 100).');
  const whole = { ...record, systemTouched: false, rebootOnly: true };
  if (record.order.mode !== 'test') return toConfirm(whole, at);
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
  const { order, before } = record;
  const untouched = outcome.current === before?.system && !outcome.unfinished;
  const verdict = judgeRun(outcome.run, untouched);
  const code = exitCodeOf(outcome.run);
  const seen: AttemptRecord = code === undefined ? record : { ...record, exitCode: code };
  switch (verdict.kind) {
    case 'active':
    case 'degraded':
      if (outcome.current !== order.closure) {
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
    case 'unreachable':
      return undo(record, 'Unconfirmed', answer.message);
  }
}

function wroteBoot(record: AttemptRecord, outcome: Extract<Outcome, { step: 'boot' }>, at: Moment): AttemptRecord {
  const code = exitCodeOf(outcome.run);
  if (code === 0) {
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
      if (record.systemTouched && outcome.current !== record.order.closure) return displaced(record, outcome.current);
      return enter(record, 'profile', { bootTouched: true });
  }
}

/** The attempt after a step. Throws nothing; an outcome that does not fit the step changes nothing. */
export function next(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
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
    case 'health': {
      const { result } = outcome;
      const checked = result.checks === undefined ? record : { ...record, checks: result.checks };
      if (result.kind === 'healthy') return toConfirm({ ...checked, passed: true }, at);
      return undo({ ...checked, failedUnits: result.units }, 'RolledBack', result.message);
    }
    case 'confirm':
      return answered(record, outcome.result);
    case 'profile':
      if (outcome.result.kind === 'ok') return enter(record, 'boot');
      return undo(record, 'RolledBack', `The system profile could not be set: ${outcome.result.message}.`);
    case 'boot':
      return wroteBoot(record, outcome, at);
    case 'undo-profile':
      return undidProfile(record);
    case 'undo-boot':
    case 'undo-system':
      return undidRun(record, outcome, at);
    case 'undo-check':
      return checkedUndo(record, outcome);
    case 'reboot': {
      const why = outcome.result.kind === 'failed' ? outcome.result.message : 'it did not happen';
      return end(
        record,
        'Failed',
        `${record.ending?.message ?? ''} The roll-back failed, and so did the reboot: ${why}.`,
      );
    }
    case 'disarm': {
      const { phase, message } = record.ending ?? { phase: 'Failed' as const, message: 'It ended without a reason.' };
      return { ...record, step: 'done', phase, message, finishedAt: at.time };
    }
  }
}
