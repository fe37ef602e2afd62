// What a Rollout remembers of its run: read from its status, made anew for a new revision.
import { runId } from '@floe/crds/desired-id';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';
import { type AnalysisMemory, memoryOf, NOTHING } from './analysis/memory.ts';
import { stepsHash } from './stage.ts';

export type Stopped = NonNullable<RolloutStatus['stopped']>;
export type Repetition = NonNullable<RolloutStatus['unconfirmed']>[number];
export type Waiting = NonNullable<RolloutStatus['waiting']>;
export type Progress = NonNullable<RolloutStatus['progress']>;
export type Failure = NonNullable<RolloutStatus['failures']>[number];

/** The step in hand and the few numbers that tell how far it is; times in ms. */
export type StepMemory = {
  readonly index: number;
  readonly startedAt: number | undefined;
  /** Machines that the batch takes; undefined: everyone who is left. */
  readonly size: number | undefined;
  /** Machines that were told before the batch began; undefined: it was never begun. */
  readonly toldBefore: number | undefined;
  readonly failedBefore: number;
  readonly accepted: number;
};

export type Run = {
  readonly revision: string;
  readonly id: string;
  readonly startedAt: number | undefined;
  /** Back to the stable revision: no steps. */
  readonly direct: boolean;
  readonly step: StepMemory;
  /** Whether it has ended well; machines that follow after that do not change it. */
  readonly completed: boolean;
  /** When it did, in ms, where that is known. */
  readonly completedAt: number | undefined;
  readonly stopped: Stopped | undefined;
  readonly rollback: { readonly to: string | undefined; readonly startedAt: number } | undefined;
  readonly retry: { readonly count: number; readonly at: number };
  /** How often machines were told again by themselves, where the id of their order does not say it. */
  readonly unconfirmed: ReadonlyMap<string, Repetition>;
  readonly failures: readonly Failure[];
  readonly pausedSeconds: number;
  /** What the run as a whole waits for. */
  readonly waiting: Waiting | undefined;
  /** The clock of `spec.progressDeadline`. */
  readonly progress: Progress | undefined;
  /** Since when windows, freezes and consent do not bind it, and who said so. */
  readonly urgent: { readonly at: number; readonly by: string | undefined } | undefined;
  /** Whether a person sent it straight to its last batch. */
  readonly promoted: boolean;
  readonly stepsHash: string;
  readonly analysis: AnalysisMemory;
};

const UNBEGUN = { size: undefined, toldBefore: undefined, failedBefore: 0, accepted: 0 };

/** A step that begins; `planBatch` fills in its numbers. */
export function freshStep(index: number, startedAt: number): StepMemory {
  return { ...UNBEGUN, index, startedAt };
}

/** The run in the status of a Rollout; undefined where none has begun. */
export function runOf(rollout: Rollout): Run | undefined {
  const status = rollout.status;
  if (status?.revision === undefined) return undefined;
  const { uid, name } = rollout.metadata;
  return {
    revision: status.revision,
    id: status.run ?? runId({ ...(uid === undefined ? {} : { uid }), name }, status.revision, status.startedAt ?? ''),
    startedAt: timeMs(status.startedAt),
    // A completed run is stable by itself; it keeps its steps.
    direct: status.revision === status.stableRevision && !hasCompleted(status),
    step: stepOf(status),
    completed: hasCompleted(status),
    completedAt: timeMs(status.completedAt) ?? endOf(status),
    stopped: status.stopped ?? stoppedBy(status),
    rollback: rollbackOf(status),
    retry: { count: status.retry?.count ?? 0, at: timeMs(status.retry?.at) ?? 0 },
    unconfirmed: new Map((status.unconfirmed ?? []).map((entry) => [entry.machine, entry])),
    failures: status.failures ?? [],
    pausedSeconds: status.pausedSeconds ?? 0,
    waiting: status.waiting,
    progress: status.progress,
    urgent: urgentOf(status),
    promoted: status.promoted === true,
    stepsHash: status.stepsHash ?? stepsHash(rollout.spec),
    analysis: memoryOf(status),
  };
}

/** Whether the run of a status has ended well, machines that follow or not. */
export function hasCompleted({ phase, completedAt }: RolloutStatus): boolean {
  return phase === 'Completed' || completedAt !== undefined;
}

/** The end of a run as its history has it. */
function endOf({ run, history }: RolloutStatus): number | undefined {
  return timeMs(history?.find((entry) => entry.run === run && entry.outcome === 'Completed')?.endedAt);
}

/** The part of the status that remembers the end of a run that is complete. */
export function completedStatus({ completed, completedAt }: Run, now: number): Pick<RolloutStatus, 'completedAt'> {
  return completed ? { completedAt: rfc3339Exact(completedAt ?? now) } : {};
}

function stepOf({ step }: RolloutStatus): StepMemory {
  return {
    index: step?.index ?? 0,
    startedAt: timeMs(step?.startedAt),
    size: step?.size,
    toldBefore: step?.toldBefore,
    failedBefore: step?.failedBefore ?? 0,
    accepted: step?.accepted ?? 0,
  };
}

/** A status from elsewhere may say Failed without why. */
function stoppedBy(status: RolloutStatus): Stopped | undefined {
  if (status.phase !== 'Failed') return undefined;
  return {
    reason: 'Failed',
    message: 'the run failed',
    at: status.step?.startedAt ?? status.startedAt ?? rfc3339Exact(0),
  };
}

function rollbackOf(status: RolloutStatus): Run['rollback'] {
  if (status.rollback !== undefined) {
    return { to: status.rollback.to, startedAt: timeMs(status.rollback.startedAt) ?? 0 };
  }
  return status.phase === 'RollingBack' ? { to: status.stableRevision, startedAt: 0 } : undefined;
}

function urgentOf({ urgent }: RolloutStatus): Run['urgent'] {
  return urgent === undefined ? undefined : { at: timeMs(urgent.at) ?? 0, by: urgent.by };
}

/**
 * Since when neither windows nor freezes bind the run: since it was called urgent, since it is taken back, or ever (0)
 * where it goes back to the stable revision; its start may lie some ms ahead. Undefined: they do. It ends with the run.
 */
export function hurryOf({ urgent, direct, completed, rollback }: Run): number | undefined {
  if (completed) return undefined;
  if (direct) return 0;
  return urgent?.at ?? rollback?.startedAt;
}

/** A new run that begins at `now` (ms). */
export function newRun(rollout: Rollout, revision: string, now: number): Run {
  const { uid, name } = rollout.metadata;
  const startedAt = rfc3339Exact(now);
  return {
    revision,
    id: runId({ ...(uid === undefined ? {} : { uid }), name }, revision, startedAt),
    startedAt: now,
    direct: revision === rollout.status?.stableRevision,
    step: freshStep(0, now),
    completed: false,
    completedAt: undefined,
    stopped: undefined,
    rollback: undefined,
    retry: { count: 0, at: 0 },
    unconfirmed: new Map(),
    failures: [],
    pausedSeconds: 0,
    waiting: undefined,
    progress: undefined,
    urgent: undefined,
    promoted: false,
    stepsHash: stepsHash(rollout.spec),
    analysis: NOTHING,
  };
}

/** The run with the wait that it is in counted up to `now` (ms), and ended; time beyond its foreseen end is not. */
export function settled(run: Run, now: number): Run {
  const { waiting } = run;
  if (waiting === undefined) return run;
  const end = Math.min(now, timeMs(waiting.until) ?? now);
  const seconds = Math.round((end - (timeMs(waiting.since) ?? now)) / 1000);
  return { ...run, waiting: undefined, pausedSeconds: run.pausedSeconds + Math.max(0, seconds) };
}

/** Whether the run goes on: it has not ended, was not stopped and is not being taken back. */
export function goesOn(run: Run): boolean {
  return !run.completed && run.stopped === undefined && run.rollback === undefined;
}
