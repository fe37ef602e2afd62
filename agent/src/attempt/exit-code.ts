// What each exit code of switch-to-configuration means for the machine.
import type { RunOutcome } from './outcome.ts';

/** What a run of `test` or `switch` has done to the machine. */
export type Verdict =
  /** The new closure runs. */
  | { readonly kind: 'active' }
  /** The new closure runs, but some unit did not start; checks decide. */
  | { readonly kind: 'degraded' }
  /** Nothing was activated; the closure needs a reboot. */
  | { readonly kind: 'reboot-required' }
  /** Somebody else holds the lock; nothing was changed. */
  | { readonly kind: 'busy' }
  /** It refused before it changed anything. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It stopped half-way. */
  | { readonly kind: 'broken'; readonly message: string };

const EAGAIN = 11;

/**
 * Judges a run of switch-to-configuration. `untouched`: the old closure still runs, read from the machine, and no
 * list of units is left to be finished; an exit code alone does not say so.
 */
export function judgeRun(run: RunOutcome, untouched: boolean): Verdict {
  switch (run.kind) {
    case 'exited':
      return judgeCode(run, untouched);
    case 'killed':
      return { kind: 'broken', message: `the switch was killed by ${run.signal}` };
    case 'timed-out':
      return { kind: 'broken', message: `the switch was not done after ${run.seconds} s` };
    case 'lost':
      return { kind: 'broken', message: 'the switch ended without leaving its exit code' };
    case 'not-started':
      return untouched
        ? { kind: 'refused', message: `the switch could not be started: ${run.message}` }
        : { kind: 'broken', message: `the switch could not be started: ${run.message}` };
  }
}

function judgeCode(run: Extract<RunOutcome, { kind: 'exited' }>, untouched: boolean): Verdict {
  const { code } = run;
  switch (code) {
    case 0:
      return { kind: 'active' };
    case 2:
      return { kind: 'broken', message: `the activation script failed (${describeRun(run)})` };
    case 3:
    case 4:
      return { kind: 'degraded' };
    case EAGAIN:
      // It takes the lock before all else, so whatever changed was not its doing.
      return { kind: 'busy' };
    case 100:
      return { kind: 'reboot-required' };
    default:
      return untouched
        ? { kind: 'refused', message: `the switch refused before it changed anything (${describeRun(run)})` }
        : { kind: 'broken', message: `the switch failed half-way (${describeRun(run)})` };
  }
}

/** The code that a run ended with; undefined where it has none. */
export function exitCodeOf(run: RunOutcome): number | undefined {
  return run.kind === 'exited' ? run.code : undefined;
}

/** A run in words. */
export function describeRun(run: RunOutcome): string {
  switch (run.kind) {
    case 'exited':
      return run.said === undefined ? `exit code ${run.code}` : `exit code ${run.code}: ${run.said}`;
    case 'killed':
      return `killed by ${run.signal}`;
    case 'timed-out':
      return `not done after ${run.seconds} s`;
    case 'lost':
      return 'ended without an exit code';
    case 'not-started':
      return `not started: ${run.message}`;
  }
}
