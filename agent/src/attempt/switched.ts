// Decides how an attempt goes on after its switch: by what runs then, never by the exit code alone. Pure.
import { exitCodeOf, judgeRun } from './exit-code.ts';
import { toReboot } from './forward.ts';
import type { Outcome } from './outcome.ts';
import { type AttemptRecord, runsNew } from './record.ts';
import { end, enter, lockSeconds, type Moment, retryLock, sentence, UNCHANGED, undo } from './transition.ts';

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

/** The attempt after a run of `test`. */
export function switched(
  record: AttemptRecord,
  outcome: Extract<Outcome, { step: 'switch' }>,
  at: Moment,
): AttemptRecord {
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
