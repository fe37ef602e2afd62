// The course of a run: goes through its stages as far as they have ended, and stops it where it failed.
import { type AnalysisProgress, analysisProgress } from './analysis/progress.ts';
import { type Batch, batchOf, beginBatch } from './batch.ts';
import type { Facts } from './facts.ts';
import { failuresOf } from './failures.ts';
import { standstillMessage } from './progress.ts';
import { goesOn, type StepMemory } from './run.ts';
import { type Stage, stagesOf, stepsHash } from './stage.ts';
import { type Member, memberOf, type View } from './standing.ts';
import { type Context, complete, type State, stop, takeBack, toStep } from './state.ts';
import { durationMs } from './time.ts';
import { leavePause } from './verbs.ts';
import { clip } from './wording.ts';

/** Where the run stands at one moment. */
export type Position = {
  readonly state: State;
  readonly stages: readonly Stage[];
  readonly stage: Stage;
  readonly view: View;
  readonly members: readonly Member[];
  /** The batch in hand; undefined in a pause, and once the run does not go on. */
  readonly batch: Batch | undefined;
  readonly analysis: AnalysisProgress;
};

const THIRTY_MINUTES = 30 * 60_000;

/** Looks at the run as it is, without going on. `facts` are those of the machines that it moves, in order. */
export function positionOf(state: State, facts: readonly Facts[], { snapshot, now, times }: Context): Position {
  const { spec, metadata } = snapshot.rollout;
  const stages = stagesOf(spec, state.run.direct);
  const end = stages.length - 1;
  const index = state.run.completed ? end : Math.min(Math.max(state.run.step.index, 0), end);
  const stage = stages[index] as Stage;
  const isAtBatch = stage.kind === 'batch' && !state.run.completed && state.run.rollback === undefined;
  const look = (step: StepMemory): { view: View; members: Member[] } => {
    const view: View = {
      rollout: metadata.name,
      run: { ...state.run, step },
      closures: snapshot.closures,
      machineTimeoutMs: durationMs(spec.machineTimeout, THIRTY_MINUTES),
      stage,
      stages,
      times,
      now,
    };
    return { view, members: facts.map((fact) => memberOf(view, fact)) };
  };
  const given: StepMemory = { ...state.run.step, index };
  const first = look(given);
  const isBegun = !isAtBatch || given.toldBefore !== undefined;
  const step = isBegun ? given : beginBatch(stage, first.members, { step: given, fresh: state.fresh });
  // The step may begin just after the orders before it: who was told in it is another question then.
  const { view, members } = isBegun ? first : look(step);
  const rules = {
    successThreshold: spec.successThreshold ?? 100,
    offline: spec.offline ?? 'Wait',
    goesOn: spec.onFailure === 'Continue',
  };
  const batch = isAtBatch ? batchOf(stage, members, step, rules) : undefined;
  const analysis = analysisProgress(view.run, { spec, stage, members, batch, now });
  const run = { ...view.run, analysis: analysis.memory };
  return { state: { ...state, run }, stages, stage, view, members, batch, analysis };
}

/** Goes on through all stages that have ended at `now`. */
export function runCourse(start: State, facts: readonly Facts[], context: Context): Position {
  let position = positionOf(withSteps(start, context), facts, context);
  // Each turn either stays or goes one stage on; the bound is for safety only.
  for (let turn = 0; turn <= position.stages.length + 1; turn++) {
    const next = onward(position, context);
    if (next === position.state) return position;
    position = positionOf(next, facts, context);
  }
  return position;
}

/** A change of the steps starts them anew; who has the revision has it. */
function withSteps(state: State, { snapshot, now }: Context): State {
  const hash = stepsHash(snapshot.rollout.spec);
  const { run } = state;
  if (run.stepsHash === hash) return state;
  const kept: State = { ...state, run: { ...run, stepsHash: hash } };
  if (run.completed || run.direct) return kept;
  if (!goesOn(run)) return state;
  return toStep(kept, run.promoted ? stagesOf(snapshot.rollout.spec, false).length - 1 : 0, now);
}

/** The state after the stage in hand, where that has ended; else the state as it is. */
function onward(position: Position, context: Context): State {
  const { state, stage } = position;
  if (!goesOn(state.run)) return state;
  const decided = afterAnalysis(position, context);
  if (decided !== undefined) return decided;
  if (stage.kind === 'batch') return afterBatch(position, context);
  const { startedAt } = state.run.step;
  if (startedAt === undefined)
    return { ...state, run: { ...state.run, step: { ...state.run.step, startedAt: context.now } } };
  if (stage.kind === 'analysis') return state;
  if (stage.durationMs === undefined || context.now < startedAt + stage.durationMs) return state;
  return leavePause(state, context.now);
}

/** What analysis decides; undefined where it leaves the stage to itself. */
function afterAnalysis(position: Position, context: Context): State | undefined {
  const { state, stage, analysis } = position;
  const next = (): State => toStep(state, state.run.step.index + 1, context.now);
  switch (analysis.verdict.kind) {
    case 'passed':
      return next();
    case 'failed':
      return context.snapshot.rollout.spec.onFailure === 'Continue' ? next() : fail(state, position, context);
    case 'inconclusive': {
      // It waits for a person; a batch that fails meanwhile fails all the same.
      const after = stage.kind === 'batch' ? afterBatch(position, context) : state;
      return goesOn(after.run) || after.run.completed ? state : after;
    }
    default:
      return undefined;
  }
}

function afterBatch(position: Position, context: Context): State {
  const { batch, members, stages } = position;
  const { run } = position.state;
  const verdict = batch?.verdict ?? { kind: 'open' };
  if (verdict.kind === 'open' || verdict.kind === 'untested') return afterStandstill(position, context);
  // Who failed while it soaked is known by its name once the batch has ended.
  const state: State = { ...position.state, run: { ...run, failures: failuresOf(run, members) } };
  if (verdict.kind === 'failed') return fail(state, position, context);
  const { index } = run.step;
  return index >= stages.length - 1 ? complete(state, context) : toStep(state, index + 1, context.now);
}

/** A run in which nobody gets further fails, where its time for that is limited. */
function afterStandstill(position: Position, context: Context): State {
  const message = standstillMessage(position, context);
  if (message === undefined || context.snapshot.rollout.spec.onFailure === 'Continue') return position.state;
  return fail(position.state, position, { ...context, message });
}

function fail(state: State, position: Position, context: Context & { readonly message?: string }): State {
  const { onFailure = 'Pause' } = context.snapshot.rollout.spec;
  // Going back to the stable revision failed: there is nothing better to return to.
  if (onFailure === 'Rollback' && !state.run.direct) return takeBack(state, context);
  return stop(state, 'Failed', {
    message: context.message ?? analysisFailure(position) ?? failureMessage(position),
    context,
  });
}

function analysisFailure({ analysis: { verdict } }: Position): string | undefined {
  return verdict.kind === 'failed' ? clip(verdict.message) : undefined;
}

/** `db-02: postgresql.service failed, rolled back; and 2 more`. */
export function failureMessage({ members, state }: Pick<Position, 'members' | 'state'>): string {
  const failed = members.flatMap(({ facts, standing, toldInStep, tested }) =>
    standing.kind === 'failed' ? [{ name: facts.name, standing, toldInStep: toldInStep || tested }] : [],
  );
  const ofStep = failed.filter(({ toldInStep }) => toldInStep);
  const shown = ofStep.length > 0 ? ofStep : failed;
  const first = shown[0];
  if (first === undefined) return `step ${state.run.step.index + 1} failed`;
  const more = shown.length > 1 ? `; and ${shown.length - 1} more failed` : '';
  return clip(`${first.name}: ${first.standing.message}${more}`);
}
