// What a rollout says of itself: phase, one sentence for people, and the facts behind its conditions.
import type { Counts, RolloutPhase } from '@floe/crds/rollout';
import { shortRevision } from '../conditions/spoken.ts';
import { analysisWait } from './analysis/wording.ts';
import type { Budget } from './budget.ts';
import type { Position } from './course.ts';
import { type Decision, pauseMessage } from './decide.ts';
import { newerOf } from './newer.ts';
import { goesOn } from './run.ts';
import { spokenSize } from './share.ts';
import type { BatchStage } from './stage.ts';
import type { Context } from './state.ts';
import type { HoldReason } from './tell.ts';
import { clockTime } from './time.ts';
import { frozenHold, momentOf } from './time-holds.ts';
import { asArguments, clip, names } from './wording.ts';

export type Description = {
  readonly phase: RolloutPhase;
  /** One word for programs. */
  readonly reason: string;
  /** The sentence of the Ready condition. */
  readonly message: string;
  /** Why the rollout is stalled, with the way on; undefined: it is not. */
  readonly stalled: string | undefined;
  /** What the config builds beyond the run; a Rollout that is at rest is in progress by that. */
  readonly newer: { readonly reason: string; readonly message: string } | undefined;
  readonly incomplete: { readonly reason: string; readonly message: string } | undefined;
  readonly overlapping: string | undefined;
  readonly nothingSelected: string | undefined;
};

export type DescribeInput = {
  readonly position: Position;
  readonly decision: Decision;
  readonly counts: Counts;
  readonly budget: Budget;
  readonly elsewhere: readonly { readonly machine: string; readonly owner: string }[];
  readonly context: Context;
};

/** Describes a planned rollout. */
export function describe(input: DescribeInput): Description {
  const { position, counts, elsewhere, context } = input;
  const { run } = position.state;
  const named = asArguments(context.snapshot.rollout.metadata);
  const what = current(input);
  const empty = counts.total === 0;
  return {
    ...what,
    stalled: run.stopped === undefined ? stuck(input) : `${run.stopped.message}. ${wayOn(run.stopped.reason, named)}`,
    newer: newerOf(context.snapshot, what.message),
    incomplete: run.completed ? incomplete(input) : undefined,
    overlapping: elsewhere.length === 0 ? undefined : overlap(elsewhere),
    nothingSelected: empty ? nothing(elsewhere.length) : undefined,
  };
}

/** A circle of dependencies ends by an edit only. */
function stuck({ position: { state }, context: { blocker } }: DescribeInput): string | undefined {
  return blocker?.reason === 'DependencyCycle' && goesOn(state.run) ? blocker.message : undefined;
}

type What = Pick<Description, 'phase' | 'reason' | 'message'>;

function current(input: DescribeInput): What {
  const { position, decision, context } = input;
  const { run } = position.state;
  const { rollout } = context.snapshot;
  if (run.stopped !== undefined) return { phase: 'Failed', reason: run.stopped.reason, message: run.stopped.message };
  if (run.completed) return afterEnd(input);
  if (run.rollback !== undefined) {
    const to = run.rollback.to === undefined ? 'what they ran before' : shortRevision(run.rollback.to);
    const message = `rolling back to ${to}: ${decision.returns?.returning ?? 0} to return`;
    return { phase: 'RollingBack', reason: 'RollingBack', message };
  }
  if (rollout.spec.suspend === true) {
    return {
      phase: 'Paused',
      reason: 'Suspended',
      message: `suspended at step ${stepText(position)}: spec.suspend is true`,
    };
  }
  const analysis = analysisWait(position, asArguments(rollout.metadata), context.now);
  if (analysis !== undefined) {
    const inconclusive = position.analysis.verdict.kind === 'inconclusive';
    return {
      phase: inconclusive ? 'Paused' : 'Progressing',
      reason: inconclusive ? 'Inconclusive' : 'Analysing',
      message: analysis,
    };
  }
  if (position.stage.kind === 'pause') {
    return {
      phase: 'Paused',
      reason: 'Paused',
      message: pauseMessage(position, asArguments(rollout.metadata), context.now),
    };
  }
  if (context.blocker !== undefined) return { phase: 'Progressing', ...context.blocker };
  if (position.stage.kind !== 'batch') return { phase: 'Progressing', reason: 'Progressing', message: 'goes on' };
  return { phase: 'Progressing', reason: 'Progressing', message: batchMessage(input, position.stage) };
}

/** `2/5`, counted from 1. */
export function stepText({ state, stages }: Position): string {
  return `${state.run.step.index + 1}/${stages.length}`;
}

/** Whoever asked for it: while machines follow, the Rollout is in progress. */
function afterEnd({ position, decision, counts }: DescribeInput): What {
  const message = completed(counts, position.state.run.revision);
  const following = followers(position, decision);
  if (following === 0) return { phase: 'Completed', reason: 'Completed', message };
  return {
    phase: 'Progressing',
    reason: 'Following',
    message: `${message}; ${following} ${following === 1 ? 'follows' : 'follow'}`,
  };
}

/** Machines that are being switched or get their go now, after the end of the run; one that fetches changes nothing yet. */
function followers({ members }: Position, { dispatch, reboots }: Decision): number {
  const names = new Set([...dispatch, ...reboots.told].map(({ machine }) => machine));
  for (const { facts, standing } of members) {
    if (standing.kind === 'updating' || standing.kind === 'soaking') names.add(facts.name);
  }
  return names.size;
}

function completed({ total, updated, offline }: Counts, revision: string): string {
  if (total === 0) return 'nobody is selected';
  if (updated === total)
    return `up to date: ${total === 1 ? 'the machine has' : `all ${total} have`} ${shortRevision(revision)}`;
  return `${updated} of ${total} have ${shortRevision(revision)}${offline > 0 ? `, ${offline} offline` : ''}`;
}

/** `batch of 10 %: 1 updating, 4 soak until 14:31 UTC`. */
function batchMessage({ position, decision, budget, context }: DescribeInput, stage: BatchStage): string {
  const head = batchName(stage, position);
  const { kinds, until } = tally(position);
  const told = decision.dispatch.length + decision.fetch.length;
  const parts = [
    amount(kinds.updating + told, 'updating'),
    amount(kinds.fetching, 'fetching'),
    kinds.soaking === 0
      ? ''
      : `${kinds.soaking} ${kinds.soaking === 1 ? 'soaks' : 'soak'} until ${clockTime(until, context.now)}`,
  ].filter((part) => part !== '');
  const frozen = frozenHold(momentOf(position, context));
  if (frozen !== undefined) parts.push(frozen.message);
  if (parts.length > 0) return clip(`${head}: ${parts.join(', ')}`);
  return clip(`${head}: ${waits(position, decision, budget)}`);
}

function batchName({ size, selector, last }: BatchStage, { stages }: Position): string {
  if (size !== undefined) return `batch of ${spokenSize(size)}`;
  if (last) return stages.length === 1 ? 'batch of all' : 'last batch';
  return selector === undefined ? 'batch of all' : 'batch by label';
}

function amount(count: number, word: string): string {
  return count === 0 ? '' : `${count} ${word}`;
}

function tally({ members }: Position): {
  kinds: { updating: number; fetching: number; soaking: number };
  until: number;
} {
  const kinds = { updating: 0, fetching: 0, soaking: 0 };
  let until = 0;
  for (const { standing } of members) {
    if (standing.kind === 'soaking') until = Math.max(until, standing.until);
    if (standing.kind === 'soaking' || standing.kind === 'updating' || standing.kind === 'fetching')
      kinds[standing.kind] += 1;
  }
  return { kinds, until };
}

const WAITS: readonly (readonly [HoldReason, string])[] = [
  ['BudgetFull', 'for the budget'],
  ['GroupBudgetFull', 'for a budget of the namespace'],
  ['WaitingForDependency', 'for another Rollout'],
  ['NotReady', 'until healthy'],
  ['Offline', 'to come back online'],
  ['MachineSuspended', 'for the end of their hold'],
  ['WaitingForUser', 'for a yes of their users'],
  ['KnownBad', 'for kubectl floe retry: the closure failed on them before'],
  ['NotBuilt', 'for their closure to be built'],
  ['InProgress', 'to finish another order'],
  ['OutsideWindow', 'for a window'],
];

function waits({ batch }: Position, { hold, opening }: Decision, { limit, unavailable }: Budget): string {
  const inBatch = new Set(batch?.matching.map(({ facts }) => facts.name));
  const parts = WAITS.flatMap(([reason, why]) => {
    const waiting = hold.filter(
      (entry) => entry.reason === reason && (inBatch.has(entry.machine) || reason === 'NotBuilt'),
    );
    const slots = reason === 'BudgetFull' ? ` (${unavailable} of ${limit} unavailable)` : '';
    const opens =
      reason === 'OutsideWindow' && opening !== undefined ? `: ${opening.message.replace(/^window /, '')}` : '';
    const verb = waiting.length === 1 ? 'waits' : 'wait';
    return waiting.length === 0
      ? []
      : [`${names(waiting.map(({ machine }) => machine))} ${verb} ${why}${slots}${opens}`];
  });
  return parts.length === 0 ? 'no machine matches it that could be tested' : parts.join('; ');
}

function wayOn(reason: 'Failed' | 'Aborted' | 'RolledBack', named: string): string {
  switch (reason) {
    case 'Failed':
      return `Next: kubectl floe retry, continue, rollback or abort ${named}, or a new revision`;
    case 'Aborted':
      return `Next: kubectl floe retry or rollback ${named}, or a new revision`;
    case 'RolledBack':
      return `Next: a new revision, or kubectl floe retry ${named}`;
    default:
      return reason satisfies never;
  }
}

function incomplete({ position }: DescribeInput): Description['incomplete'] {
  const of = (...kinds: readonly string[]) =>
    position.members
      .filter(({ standing }) => kinds.includes(standing.kind))
      .map(({ facts }) => facts.name)
      .sort();
  const notBuilt = of('notBuilt');
  const failed = of('failed', 'again');
  const bad = of('knownBad');
  const parts = [
    notBuilt.length === 0 ? '' : `not built: ${names(notBuilt)}`,
    failed.length === 0 ? '' : `failed: ${names(failed)}`,
    bad.length === 0 ? '' : `failed before: ${names(bad)}`,
  ].filter((part) => part !== '');
  if (parts.length === 0) return undefined;
  return { reason: notBuilt.length > 0 ? 'NotBuilt' : 'Failed', message: parts.join('; ') };
}

function overlap(elsewhere: DescribeInput['elsewhere']): string {
  const owners = [...new Set(elsewhere.map(({ owner }) => owner))].sort();
  const machines = elsewhere.length === 1 ? '1 machine is' : `${elsewhere.length} machines are`;
  return `${machines} left to the older ${owners.length === 1 ? 'Rollout' : 'Rollouts'} ${names(owners)}`;
}

function nothing(elsewhere: number): string {
  return elsewhere > 0
    ? 'all machines that spec.selector matches belong to older Rollouts'
    : 'no machine of the config matches spec.selector; check the labels of its NixMachines';
}
