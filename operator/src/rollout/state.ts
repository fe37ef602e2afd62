// The part of the plan that changes while it is made: the run, the history, the verbs that were handled.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import { isWatched } from './analysis/built-in.ts';
import { WATCHED } from './analysis/memory.ts';
import type { Blocker } from './dependencies.ts';
import type { GroupBudgets } from './group-budgets.ts';
import type { HistoryEntry } from './history.ts';
import { recorded, revisionBefore, without } from './history.ts';
import { freshStep, goesOn, newRun, type Run, type Stopped, settled } from './run.ts';
import type { Snapshot } from './snapshot.ts';
import { stagesOf, stepsHash } from './stage.ts';
import type { Times } from './times.ts';

export type State = {
  readonly run: Run;
  readonly stableRevision: string | undefined;
  readonly history: readonly HistoryEntry[];
  /** Whether the step began in this plan, and not in the status that it is made from. */
  readonly fresh: boolean;
};

export type Context = {
  readonly snapshot: Snapshot;
  readonly now: number;
  readonly historyLimit: number;
  /** Windows and freezes of the Rollout. */
  readonly times: Times;
  /** Slots in the budgets of the namespace while this plan is made. */
  readonly groups: GroupBudgets;
  /** The Rollout that goes first and is not done. */
  readonly blocker: Blocker | undefined;
};

type Outcome = HistoryEntry['outcome'];

function record(state: State, outcome: Outcome, context: Context): HistoryEntry[] {
  const { now, historyLimit } = context;
  return recorded(state.history, withPauseInHand(state.run, context), { outcome, now, limit: historyLimit });
}

/** The run with the pause or wait that it stands in counted up to now; for a run that ends in it. */
function withPauseInHand(given: Run, { snapshot, now }: Context): Run {
  const { spec } = snapshot.rollout;
  const run = settled(given, now);
  const { index, startedAt } = run.step;
  if (!goesOn(run) || startedAt === undefined || run.stepsHash !== stepsHash(spec)) return run;
  if (stagesOf(spec, run.direct)[index]?.kind !== 'pause') return run;
  return { ...run, pausedSeconds: run.pausedSeconds + secondsBetween(startedAt, now) };
}

/** Whole seconds between two moments (ms). */
export function secondsBetween(start: number, end: number): number {
  return Math.max(0, Math.round((end - start) / 1000));
}

/** Starts a run of `revision`; the one before is superseded, unless it has ended already. */
export function begin(state: State | undefined, revision: string, context: Context): State {
  const { snapshot, now } = context;
  const before = state?.run;
  // Two runs never share their moment: orders without the name of a run are told by it.
  const at = before?.startedAt === undefined ? now : Math.max(now, before.startedAt + 1);
  const { status } = snapshot.rollout;
  const stableRevision = state === undefined ? status?.stableRevision : state.stableRevision;
  const superseded = state !== undefined && !state.run.completed && state.run.stopped === undefined;
  const history = state === undefined ? (status?.history ?? []) : state.history;
  const run = newRun(snapshot.rollout, revision, at);
  return {
    run: {
      ...run,
      direct: revision === stableRevision,
      analysis: snapshot.watches === true && isWatched(snapshot.rollout.spec) ? WATCHED : run.analysis,
    },
    stableRevision,
    history: superseded ? record(state, 'Superseded', context) : history,
    fresh: true,
  };
}

/** Goes to a step. `startedAt` lies after every order of the steps before. */
export function toStep(state: State, index: number, startedAt: number): State {
  return { ...state, run: { ...state.run, step: freshStep(index, startedAt) }, fresh: true };
}

/** Ends the run well: its revision is the stable one from now on. */
export function complete(state: State, context: Context): State {
  return {
    ...state,
    run: { ...state.run, completed: true, completedAt: context.now, direct: false },
    stableRevision: state.run.revision,
    history: record(state, 'Completed', context),
  };
}

const OUTCOMES = { Failed: 'Failed', Aborted: 'Aborted', RolledBack: 'RolledBack' } as const;

/** Stops the run: nobody else is told its revision. */
export function stop(
  state: State,
  reason: Stopped['reason'],
  { message, context }: { message: string; context: Context },
): State {
  const stopped: Stopped = { reason, message, at: rfc3339Exact(context.now) };
  return { ...state, run: { ...state.run, stopped }, history: record(state, OUTCOMES[reason], context) };
}

/** Lets a stopped run go on. */
export function resume(state: State): State {
  return { ...state, run: { ...state.run, stopped: undefined }, history: without(state.history, state.run) };
}

/**
 * Begins to take the run back to the stable revision. The stable revision of a run that completed is its own: it goes
 * back to the one before, which is the stable one then.
 */
export function takeBack(state: State, context: Context): State {
  const run = withPauseInHand(state.run, context);
  const own = state.stableRevision === run.revision;
  const to = own ? revisionBefore(state.history, run.revision) : state.stableRevision;
  return {
    ...state,
    run: {
      ...run,
      completed: false,
      completedAt: undefined,
      direct: false,
      stopped: undefined,
      rollback: { to, startedAt: context.now },
    },
    stableRevision: to,
    history: without(state.history, run),
  };
}
