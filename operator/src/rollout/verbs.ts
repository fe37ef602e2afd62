// Orders of a person by annotation: which are new, and what they change.
import { VERBS, type Verb, verbAnnotation } from '@floe/crds/constants';
import type { Rollout } from '@floe/crds/rollout';
import { acceptAnalysis, repeatAnalysis } from './analysis/answers.ts';
import { goesOn } from './run.ts';
import { type Stage, stagesOf, stepsHash } from './stage.ts';
import { begin, type Context, resume, type State, secondsBetween, stop, takeBack, toStep } from './state.ts';

/** Verbs whose annotation has another value than the one handled last. */
export function newVerbs(rollout: Rollout): Map<Verb, string> {
  const { annotations } = rollout.metadata;
  const handled = rollout.status?.lastHandled;
  const found = new Map<Verb, string>();
  for (const verb of VERBS) {
    const value = annotations?.[verbAnnotation(verb)];
    if (value !== undefined && value !== handled?.[verb]) found.set(verb, value.slice(0, 256));
  }
  return found;
}

/** What a verb may need to know of the step in hand. */
export type StepView = {
  readonly stage: Stage | undefined;
  /** Failures of the batch in hand. */
  readonly failed: number;
};

/**
 * Carries out verbs on the run. Where several are new at once, the one that stops more comes last. A verb that has
 * nothing to act on changes nothing; it counts as handled all the same, so that it can't strike later.
 */
export function handleVerbs(state: State, verbs: ReadonlyMap<Verb, string>, step: StepView, context: Context): State {
  let next = state;
  const approval = verbs.get('approve');
  if (approval !== undefined) next = approve(next, approval, { step, context });
  if (verbs.has('continue')) next = accept(next, step, context);
  if (verbs.has('retry')) next = retry(next, step, context);
  if (verbs.has('promote')) next = promote(next, step, context);
  if (verbs.has('rollback') && next.run.rollback === undefined) next = takeBack(next, context);
  if (verbs.has('abort') && !next.run.completed && next.run.stopped?.reason !== 'RolledBack')
    next = abort(next, context);
  return next;
}

/** Answers a pause, and only the one that the value names. */
function approve(state: State, value: string, { step, context }: { step: StepView; context: Context }): State {
  const { run } = state;
  if (!goesOn(run) || step.stage?.kind !== 'pause' || value !== `${run.id}.${run.step.index}`) return state;
  return leavePause(state, context.now);
}

/** Ends the pause in hand at `now` (ms). */
export function leavePause(state: State, now: number): State {
  const { run } = state;
  const seconds = secondsBetween(run.step.startedAt ?? now, now);
  return toStep({ ...state, run: { ...run, pausedSeconds: run.pausedSeconds + seconds } }, run.step.index + 1, now);
}

/** Accepts the failures of the step in hand, or what its analysis came to, and goes on. */
function accept(state: State, { stage, failed }: StepView, { now }: Context): State {
  const { run } = state;
  if (run.completed || run.rollback !== undefined) return state;
  if (run.stopped === undefined) return acceptAnalysis(state, stage, now);
  const resumed = resume(state);
  return acceptAnalysis({ ...resumed, run: { ...resumed.run, step: { ...run.step, accepted: failed } } }, stage, now);
}

/** Tells the failed ones of the step again; after an abort or a rollback the run starts anew. */
function retry(state: State, { stage }: StepView, context: Context): State {
  const { run } = state;
  if (run.rollback !== undefined && run.stopped === undefined) return state;
  const count = run.retry.count + 1;
  const stepsChanged = run.stepsHash !== stepsHash(context.snapshot.rollout.spec);
  const anew = run.stopped !== undefined && (run.stopped.reason !== 'Failed' || stepsChanged);
  if (anew) {
    const started = begin(state, run.revision, context);
    return { ...started, run: { ...started.run, retry: { count, at: context.now } } };
  }
  const resumed = run.stopped === undefined ? state : resume(state);
  const again = { ...resumed, run: { ...resumed.run, retry: { count, at: context.now }, unconfirmed: new Map() } };
  return repeatAnalysis(again, stage, context.now);
}

/**
 * Sends a run that goes on straight to its last batch: pauses, analyses and the batches between are left out, the budgets
 * hold. On a run that was stopped it does nothing: `continue` comes first.
 */
function promote(state: State, { stage }: StepView, { snapshot, now }: Context): State {
  const { run } = state;
  if (!goesOn(run) || run.promoted) return state;
  const end = stagesOf(snapshot.rollout.spec, run.direct).length - 1;
  const paused = stage?.kind === 'pause' ? secondsBetween(run.step.startedAt ?? now, now) : 0;
  const promoted: State = { ...state, run: { ...run, promoted: true, pausedSeconds: run.pausedSeconds + paused } };
  return run.step.index >= end ? promoted : toStep(promoted, end, now);
}

/** Stops telling; who has the revision keeps it. */
function abort(state: State, context: Context): State {
  const forward: State = { ...state, run: { ...state.run, rollback: undefined } };
  return stop(forward, 'Aborted', { message: 'aborted; who has the revision keeps it', context });
}
