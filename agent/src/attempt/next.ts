// Decides what an attempt does next from what its last step came to. Pure: no clock, no file, no process.
import type { AttemptPhase } from '@floe/crds/attempt-phase';
import { describeRun, exitCodeOf, judgeRun } from './exit-code.ts';
import type { Confirmation, Outcome, Seen } from './outcome.ts';
import type { AttemptRecord, FinalPhase, Step } from './record.ts';

/** Now, on both clocks: for people, and for deadlines of this boot. */
export type Moment = { readonly time: string; readonly monotonicMs: number };

/** Runs in a row that may find switch-to-configuration's lock taken before the attempt gives up. */
export const LOCK_TRIES = 8;

const PHASES: Readonly<Partial<Record<Step, AttemptPhase>>> = {
  fetch: 'Fetching',
  'await-go': 'Fetched',
  begin: 'Fetched',
  'arm-switch': 'Testing',
  'arm-health': 'Testing',
  confirm: 'Confirming',
  'arm-commit': 'Committing',
  'arm-undo': 'RollingBack',
  reboot: 'Rebooting',
};

const RUNS: ReadonlySet<Step> = new Set<Step>(['switch', 'boot', 'undo-boot', 'undo-system']);

/** Goes to a step; runs get a number of their own, so that doing one twice is told from doing it again. */
export function enter(record: AttemptRecord, step: Step, change: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    ...record,
    ...change,
    step,
    phase: PHASES[step] ?? record.phase,
    run: RUNS.has(step) ? record.run + 1 : record.run,
  };
}

/** Ends the attempt: puts the timer away, then it is done. */
export function end(record: AttemptRecord, phase: FinalPhase, message: string): AttemptRecord {
  return enter(record, 'disarm', { ending: { phase, message } });
}

/** Goes back to the old closure, as far as anything was touched, and then ends so. */
export function undo(record: AttemptRecord, phase: FinalPhase, message: string): AttemptRecord {
  if (!record.systemTouched && !record.bootTouched) return end(record, phase, message);
  return enter(record, 'arm-undo', { undone: true, ending: { phase, message }, message, lockTries: 0 });
}

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
  if (outcome.complaint !== undefined) return end(record, 'Failed', `${outcome.complaint} Nothing was changed.`);
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
        return undo(seen, 'RolledBack', `switch-to-configuration ended with exit code ${code}, but ${runs} runs.`);
      }
      return enter(seen, outcome.handOver ? 'arm-start' : 'arm-health');
    case 'reboot-required': {
      if (!untouched)
        return undo(seen, 'RolledBack', 'switch-to-configuration asked for a reboot half-way (exit code 100).');
      const whole = { ...seen, systemTouched: false, rebootOnly: true };
      if (order.mode !== 'test') return toConfirm(whole, at);
      return end(
        whole,
        'Failed',
        'It can only be started by a reboot (exit code 100): use mode switch or boot. Nothing was changed.',
      );
    }
    case 'busy':
      if (record.lockTries < LOCK_TRIES) {
        return enter(seen, 'arm-switch', { systemTouched: false, lockTries: record.lockTries + 1 });
      }
      return end(
        { ...seen, systemTouched: false },
        'Failed',
        `Another switch-to-configuration holds the lock since ${LOCK_TRIES + 1} tries. Nothing was changed.`,
      );
    case 'refused':
      return end({ ...seen, systemTouched: false }, 'Failed', `${capital(verdict.message)}. Nothing was changed.`);
    case 'broken':
      return undo(seen, 'RolledBack', `${capital(verdict.message)}.`);
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

function wroteBoot(record: AttemptRecord, outcome: Extract<Outcome, { step: 'boot' }>): AttemptRecord {
  const code = exitCodeOf(outcome.run);
  if (code === 0) {
    if (record.rebootOnly) return end(record, 'RebootRequired', 'It starts with the next boot.');
    return end(record, 'Committed', 'It runs, and the next boot starts it.');
  }
  if (code === 11 && record.lockTries < LOCK_TRIES) {
    return enter(record, 'boot', { lockTries: record.lockTries + 1 });
  }
  const failed = code === undefined ? record : { ...record, exitCode: code };
  return undo(failed, 'RolledBack', `The boot entry could not be written (${describeRun(outcome.run)}).`);
}

/** First step of the roll-back once its timer is armed. */
function firstUndo(record: AttemptRecord): AttemptRecord {
  return enter(record, record.bootTouched ? 'undo-profile' : 'undo-system');
}

/** Whether `switch` of the old closure brings back system and boot entry in one go. */
export function undoesAtOnce(record: AttemptRecord): boolean {
  return record.systemTouched && record.bootTouched && record.before?.profile === record.before?.system;
}

function undidProfile(record: AttemptRecord): AttemptRecord {
  if (undoesAtOnce(record)) return enter(record, 'undo-system');
  if (record.before?.profile !== undefined) return enter(record, 'undo-boot');
  return enter(record, record.systemTouched ? 'undo-system' : 'undo-check');
}

function undidRun(
  record: AttemptRecord,
  outcome: Extract<Outcome, { step: 'undo-boot' | 'undo-system' }>,
): AttemptRecord {
  if (exitCodeOf(outcome.run) === 11 && record.lockTries < LOCK_TRIES) {
    return enter(record, outcome.step, { lockTries: record.lockTries + 1 });
  }
  if (outcome.step === 'undo-boot' && record.systemTouched) return enter(record, 'undo-system', { lockTries: 0 });
  return enter(record, 'undo-check');
}

function bootIsBack(record: AttemptRecord, seen: Seen): boolean {
  if (!record.bootTouched) return true;
  if (seen.profile !== record.before?.profile) return false;
  return (
    seen.bootDefault?.verified !== true ||
    seen.bootDefault.closure === (record.before?.profile ?? record.before?.system)
  );
}

function checkedUndo(record: AttemptRecord, outcome: Extract<Outcome, { step: 'undo-check' }>): AttemptRecord {
  const { before, ending } = record;
  const { seen } = outcome;
  const why = ending?.message ?? '';
  const back = before?.system;
  const systemIsBack = !record.systemTouched || seen.current === back;
  if (systemIsBack && bootIsBack(record, seen)) {
    const fresh = outcome.failedUnits.filter((unit) => !before?.failedUnits.includes(unit));
    const also = fresh.length === 0 ? '' : ` There ${fresh.join(', ')} failed too.`;
    const where = record.systemTouched
      ? `back on ${back}`
      : `still on ${back}; the next boot starts what it did before`;
    return end(record, ending?.phase ?? 'RolledBack', `${why} The machine is ${where}.${also}`);
  }
  const bootsOld = seen.bootDefault?.closure === back;
  if (!systemIsBack && outcome.canReboot && bootsOld && !record.rebooted) {
    return enter(record, 'reboot', { rebooted: true });
  }
  const state = `it runs ${seen.current ?? 'an unknown system'} and the next boot starts ${seen.bootDefault?.closure ?? 'an unknown one'}`;
  return end(
    record,
    'Failed',
    `${why} The roll-back to ${back} failed: ${state}. Run switch-to-configuration of the old closure by hand.`,
  );
}

function armed(
  record: AttemptRecord,
  outcome: Extract<Outcome, { result: unknown }> & { step: `arm-${string}` },
): AttemptRecord {
  const failure = outcome.result.kind === 'failed' ? outcome.result.message : undefined;
  switch (outcome.step) {
    case 'arm-switch':
      if (failure !== undefined)
        return end(
          record,
          'Failed',
          `The timer that would undo a bad switch can't be armed: ${failure}. Nothing was changed.`,
        );
      return enter(record, 'switch', { systemTouched: true });
    case 'arm-start':
      return failure === undefined ? enter(record, 'hand-over') : undo(record, 'RolledBack', noTimer(failure));
    case 'arm-health':
      return failure === undefined ? enter(record, 'health') : undo(record, 'RolledBack', noTimer(failure));
    case 'arm-commit':
      return failure === undefined
        ? enter(record, 'profile', { bootTouched: true })
        : undo(record, 'RolledBack', noTimer(failure));
    case 'arm-undo':
      return firstUndo(record);
  }
}

function noTimer(failure: string): string {
  return `The timer that would undo a bad switch can't be armed: ${failure}.`;
}

/** The attempt after a step. Throws nothing; an outcome that does not fit the step changes nothing. */
export function next(record: AttemptRecord, outcome: Outcome, at: Moment): AttemptRecord {
  if (outcome.step !== record.step) return record;
  switch (outcome.step) {
    case 'fetch':
      if (outcome.result.kind !== 'fetched')
        return end(record, 'Failed', `${outcome.result.message} Nothing was changed.`);
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
      return armed(outcome.result.kind === 'ok' ? { ...record, armed: record.armed + 1 } : record, outcome);
    case 'switch':
      return switched(record, outcome, at);
    case 'hand-over':
      return enter(record, 'arm-health');
    case 'health':
      if (outcome.result.kind === 'healthy') return toConfirm({ ...record, passed: true }, at);
      return undo({ ...record, failedUnits: outcome.result.units }, 'RolledBack', outcome.result.message);
    case 'confirm':
      return answered(record, outcome.result);
    case 'profile':
      if (outcome.result.kind === 'ok') return enter(record, 'boot');
      return undo(record, 'RolledBack', `The system profile could not be set: ${outcome.result.message}.`);
    case 'boot':
      return wroteBoot(record, outcome);
    case 'undo-profile':
      return undidProfile(record);
    case 'undo-boot':
    case 'undo-system':
      return undidRun(record, outcome);
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

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
