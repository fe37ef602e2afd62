// Decides how an attempt goes on after its switch: by what runs then, never by the exit code alone. Pure.
import { exitCodeOf, judgeRun } from './exit-code.ts';
import { toReboot } from './forward.ts';
import type { Outcome, RunOutcome } from './outcome.ts';
import { type AttemptRecord, runsNew } from './record.ts';
import { end, enter, lockSeconds, type Moment, retryLock, sentence, UNCHANGED, undo } from './transition.ts';

type Switched = Extract<Outcome, { step: 'switch' }>;

function hasBegun(run: RunOutcome): boolean {
  return run.kind === 'exited' && run.began === true;
}

function needsReboot(record: AttemptRecord, untouched: boolean, at: Moment): AttemptRecord {
  if (!untouched) return undo(record, 'RolledBack', 'The switch asked for a reboot half-way (exit code 100).');
  const whole = { ...record, systemTouched: false };
  if (record.order.mode !== 'test') return toReboot(whole, at);
  const message = 'Only a reboot can start it (exit code 100): use mode switch or boot.';
  return end(whole, 'Failed', `${message} ${UNCHANGED}`);
}

function busy(record: AttemptRecord, outcome: Switched, at: Moment): AttemptRecord {
  // Whoever holds the lock has activated this very closure: it is checked like one that was brought by the attempt.
  if (runsNew(record, outcome.current)) return toChecks(record, outcome);
  const whole = { ...record, systemTouched: false };
  const again = retryLock(whole, at, lockSeconds(record));
  // Whoever held the lock has probably changed what runs: look again.
  if (again !== undefined) return enter(again, 'begin');
  const message = `Another switch-to-configuration held its lock for more than ${lockSeconds(record)} s (exit code 11).`;
  return end(whole, 'Failed', `${message} ${UNCHANGED}`);
}

/** The new closure runs: now it is checked, by its own agent where there is one. */
function toChecks(record: AttemptRecord, { handOver }: Switched): AttemptRecord {
  return enter(record, handOver ? 'arm-start' : 'arm-health');
}

/** What is remembered of the run for the checks. */
function noted(record: AttemptRecord, { run }: Switched): AttemptRecord {
  if (run.kind !== 'exited') return record;
  const { code, said, units } = run;
  return {
    ...record,
    exitCode: code,
    ...(code === 0 || said === undefined ? {} : { said }),
    ...(code === 0 || units === undefined ? {} : { blamedUnits: units }),
  };
}

/** The attempt after a run of `test`. */
export function switched(record: AttemptRecord, outcome: Switched, at: Moment): AttemptRecord {
  const { before } = record;
  const { unfinished } = outcome;
  const untouched = outcome.current === before?.system && !unfinished;
  const verdict = judgeRun(outcome.run, { untouched, unfinished });
  const code = exitCodeOf(outcome.run);
  const seen = noted(record, outcome);
  switch (verdict.kind) {
    case 'active':
    case 'degraded':
      if (!runsNew(record, outcome.current)) {
        const runs = outcome.current ?? 'nothing known';
        return undo(seen, 'RolledBack', `The switch ended with exit code ${code}, but ${runs} runs.`);
      }
      return toChecks(seen, outcome);
    case 'reboot-required':
      return needsReboot(seen, untouched && !hasBegun(outcome.run), at);
    case 'busy':
      return busy(seen, outcome, at);
    case 'refused':
      return end({ ...seen, systemTouched: false }, 'Failed', `${sentence(verdict.message)} ${UNCHANGED}`);
    case 'broken':
      return undo(seen, 'RolledBack', sentence(verdict.message));
  }
}
