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
  /** Another switch-to-configuration holds the lock; this one changed nothing. */
  | { readonly kind: 'busy' }
  /** It refused before it changed anything. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It stopped half-way. */
  | { readonly kind: 'broken'; readonly message: string };

/** What is read from the machine after a run. */
export type Evidence = {
  /** The closure that ran before still runs, and no list of units is left to be finished. */
  readonly untouched: boolean;
  /** switch-to-configuration left lists of units that it had still to start, restart or reload. */
  readonly unfinished: boolean;
};

const EAGAIN = 11;
const LOCK_TAKEN = 'Could not acquire lock';
const NO_ACTIVATION = /^This is not a NixOS installation|^Unable to list users|^Could not |^Error: /;
const ACTIVATION_FAILED = /Activation script snippet|Failed to run activate script/;

/**
 * Whether a run found that another switch-to-configuration holds its lock. The program ends with the last errno of the
 * process wherever it gives up, so the code alone does not say so: what counts is that it said so and began nothing.
 */
export function isLockTaken(run: RunOutcome): boolean {
  if (run.kind !== 'exited' || run.code !== EAGAIN || run.began === true) return false;
  return run.said === undefined || run.said.startsWith(LOCK_TAKEN);
}

/** Judges a run of switch-to-configuration by what is seen then and by its own words; an exit code alone does not say. */
export function judgeRun(run: RunOutcome, evidence: Evidence): Verdict {
  switch (run.kind) {
    case 'exited':
      return judgeCode(run, evidence);
    case 'killed':
      return { kind: 'broken', message: `the switch was killed by ${run.signal}` };
    case 'timed-out':
      return { kind: 'broken', message: `the switch was not done after ${run.seconds} s` };
    case 'lost':
      return { kind: 'broken', message: 'the switch ended without leaving its exit code' };
    case 'not-started':
      return evidence.untouched
        ? { kind: 'refused', message: `the switch could not be started: ${run.message}` }
        : { kind: 'broken', message: `the switch could not be started: ${run.message}` };
  }
}

type Exited = Extract<RunOutcome, { kind: 'exited' }>;

function judgeCode(run: Exited, evidence: Evidence): Verdict {
  const { code, said = '' } = run;
  const activationFailed: Verdict = { kind: 'broken', message: `the activation script failed (${describeRun(run)})` };
  switch (code) {
    case 0:
      return { kind: 'active' };
    case 2:
      return NO_ACTIVATION.test(said) ? stopped(run, evidence) : activationFailed;
    case 3:
    case 4:
      if (evidence.unfinished) return stopped(run, evidence);
      // A unit that failed later has taken the place of the exit code 2.
      return ACTIVATION_FAILED.test(said) ? activationFailed : { kind: 'degraded' };
    case EAGAIN:
      // With its words whatever changed was another's doing: it takes the lock before all else.
      return isLockTaken(run) && (run.said !== undefined || evidence.untouched)
        ? { kind: 'busy' }
        : stopped(run, evidence);
    case 100:
      return { kind: 'reboot-required' };
    default:
      return stopped(run, evidence);
  }
}

/** It gave up: before it changed anything, or half-way. */
function stopped(run: Exited, { untouched }: Evidence): Verdict {
  return untouched && run.began !== true
    ? { kind: 'refused', message: `the switch refused before it changed anything (${describeRun(run)})` }
    : { kind: 'broken', message: `the switch failed half-way (${describeRun(run)})` };
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
