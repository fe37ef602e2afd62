// The next status of a Rollout, from the plan's parts.
import type { Verb } from '@floe/crds/constants';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Counts, Rollout, RolloutStatus } from '@floe/crds/rollout';
import { analysisStatus } from './analysis/memory.ts';
import { conditionsOf } from './conditions.ts';
import type { Position } from './course.ts';
import type { Decision } from './decide.ts';
import { type Description, stepText } from './describe.ts';
import { failuresOf, NAMED } from './failures.ts';
import { nextChangeOf } from './next-change.ts';
import { compareText } from './order.ts';
import { ordersWith } from './order-record.ts';
import { progressStatus } from './progress.ts';
import { completedStatus, type Run } from './run.ts';
import { skippedOf } from './skipped.ts';
import type { Context } from './state.ts';
import { urgentStatus } from './urgent.ts';
import { waitingStatus } from './waiting.ts';

export type StatusInput = {
  readonly position: Position;
  readonly decision: Decision;
  readonly counts: Counts;
  readonly description: Description;
  readonly verbs: ReadonlyMap<Verb, string>;
  readonly context: Context;
};

/** The whole status; what it does not name is gone. */
export function statusOf(input: StatusInput): RolloutStatus {
  const { position, counts, description, verbs, context } = input;
  const { rollout } = context.snapshot;
  const { state } = position;
  const { run } = state;
  const analysis = analysisStatus(run.analysis, run.id);
  return {
    ...headOf(rollout, verbs),
    revision: run.revision,
    ...(state.stableRevision === undefined ? {} : { stableRevision: state.stableRevision }),
    run: run.id,
    ...(run.startedAt === undefined ? {} : { startedAt: rfc3339Exact(run.startedAt) }),
    phase: description.phase,
    ...completedStatus(run, context.now),
    step: stepOf(position),
    counts,
    updated: `${counts.updated}/${counts.total}`,
    failures: failuresOf(run, position.members),
    history: [...state.history],
    ...(run.stopped === undefined ? {} : { stopped: run.stopped }),
    ...(run.rollback === undefined ? {} : { rollback: rollbackOf(run.rollback) }),
    ...(run.retry.count === 0 ? {} : { retry: { count: run.retry.count, at: rfc3339Exact(run.retry.at) } }),
    ...unconfirmedOf(input),
    ...(run.pausedSeconds === 0 ? {} : { pausedSeconds: run.pausedSeconds }),
    ...(analysis === undefined ? {} : { analysis }),
    ...urgentStatus(run),
    ...waitingStatus(run),
    ...progressStatus(run),
    ...(run.promoted ? { promoted: true } : {}),
    ...skippedOf(position, context),
    ...ordersWith(rollout, verbs, context.now),
    ...nextChange(input),
    stepsHash: run.stepsHash,
    conditions: conditionsOf(rollout, description, context.now),
  };
}

function nextChange({ position, decision, context }: StatusInput): Pick<RolloutStatus, 'nextChange'> {
  const at = nextChangeOf(position, decision.opening, context);
  return at === undefined ? {} : { nextChange: rfc3339Exact(at) };
}

/** The parts of a status that every plan writes. */
export function headOf(
  { metadata, status }: Rollout,
  verbs: ReadonlyMap<Verb, string>,
): Pick<RolloutStatus, 'observedGeneration' | 'lastHandled'> {
  const handled = { ...status?.lastHandled, ...Object.fromEntries(verbs) };
  return {
    ...(metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }),
    ...(Object.keys(handled).length === 0 ? {} : { lastHandled: handled }),
  };
}

function rollbackOf({ to, startedAt }: NonNullable<Run['rollback']>): NonNullable<RolloutStatus['rollback']> {
  return { ...(to === undefined ? {} : { to }), startedAt: rfc3339Exact(startedAt) };
}

function stepOf(position: Position): NonNullable<RolloutStatus['step']> {
  const { index, startedAt, size, toldBefore, failedBefore, accepted } = position.state.run.step;
  const numbers = toldBefore === undefined ? {} : { toldBefore, failedBefore, ...(size === undefined ? {} : { size }) };
  return {
    index,
    total: position.stages.length,
    ...(startedAt === undefined ? {} : { startedAt: rfc3339Exact(startedAt) }),
    column: stepText(position),
    ...numbers,
    ...(accepted === 0 ? {} : { accepted }),
  };
}

function unconfirmedOf({ position, decision }: StatusInput): Pick<RolloutStatus, 'unconfirmed'> {
  const repeated = new Map(position.state.run.unconfirmed);
  for (const { machine, byItself, repeats } of [...decision.dispatch, ...decision.fetch]) {
    if (repeats !== undefined) repeated.set(machine, { machine, order: repeats, times: byItself });
  }
  const open = new Set(position.members.filter(({ told }) => told).map(({ facts }) => facts.name));
  const list = [...repeated.values()]
    .filter(({ machine }) => open.has(machine))
    .sort((a, b) => compareText(a.machine, b.machine));
  return list.length === 0 ? {} : { unconfirmed: list.slice(0, NAMED) };
}
