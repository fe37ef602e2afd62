// The clock of `spec.progressDeadline`: it runs while no machine gets further although one could.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import type { WindowAction } from '@floe/crds/window-action';
import { timeMs } from '../conditions/moment.ts';
import { spokenSeconds } from '../conditions/spoken.ts';
import type { Batch } from './batch.ts';
import { finishedAt } from './facts.ts';
import { goesOn, hurryOf, type Progress, type Run } from './run.ts';
import { runsSince } from './soak.ts';
import { type Stage, stagesOf } from './stage.ts';
import { isOrderOfRun, type Member, type View } from './standing.ts';
import { type Context, type State, secondsBetween } from './state.ts';
import { durationMs } from './time.ts';

/** Where the run stands. */
type Position = {
  readonly state: State;
  readonly stage: Stage;
  readonly view: View;
  readonly members: readonly Member[];
  readonly batch: Batch | undefined;
};

/**
 * When the run has been at a standstill for `spec.progressDeadline`; undefined: nothing of that kind is to come. The clock
 * counts from the last moment at which the step began, a machine was told, began or ended, or somebody retried; for a
 * machine that came back, from then. Time in which its windows are closed does not count.
 */
export function standstillAt(position: Position, context: Context): number | undefined {
  const { progressDeadline } = context.snapshot.rollout.spec;
  const { state, stage, view } = position;
  const forMs = durationMs(progressDeadline, 0);
  if (forMs === 0 || !goesOn(state.run) || stage.kind !== 'batch') return undefined;
  const able = ableOf(position, context);
  if (able.length === 0) return undefined;
  // Somebody can again after nobody could: the clock starts anew.
  const mark = state.run.progress?.idle === true ? context.now : lastMove(position, context.now);
  const hurry = hurryOf(view.run);
  const known = new Map<string, number | undefined>();
  let first: number | undefined;
  for (const { facts, standing } of able) {
    const since = Math.max(mark, facts.connectionSince ?? mark);
    const action = actionOf(standing.kind);
    const key = `${action} ${since} ${facts.machine.spec.timeZone}`;
    if (!known.has(key)) known.set(key, context.times.after(facts, { action, hurry }, { since, forMs }));
    const at = known.get(key);
    if (at !== undefined && (first === undefined || at < first)) first = at;
  }
  return first;
}

/** What is said of a run at a standstill; undefined: it is none. */
export function standstillMessage(position: Position, context: Context): string | undefined {
  const at = standstillAt(position, context);
  if (at === undefined || context.now < at) return undefined;
  const { progressDeadline } = context.snapshot.rollout.spec;
  const [first] = ableOf(position, context);
  const what = first === undefined ? '' : `: ${first.facts.name} ${stateOf(first)}`;
  return `no machine got further for ${spokenSeconds(durationMs(progressDeadline, 0) / 1000)} (spec.progressDeadline)${what}`;
}

function stateOf({ standing, facts }: Member): string {
  if (standing.kind === 'updating') return facts.own === undefined ? 'was told' : `is ${facts.own.phase}`;
  return standing.kind === 'fetching' ? 'fetches' : 'waits for its turn';
}

/** The run after a plan: whether nobody can get further, and since when the clock counts after that. */
export function withProgress(run: Run, position: Position, context: Context): Run {
  const { progressDeadline } = context.snapshot.rollout.spec;
  if (progressDeadline === undefined || !goesOn(run)) return { ...run, progress: undefined };
  const { progress } = run;
  const isIdle = position.stage.kind !== 'batch' || ableOf(position, context).length === 0;
  if (isIdle === (progress?.idle === true)) return run;
  return { ...run, progress: isIdle ? { ...progress, idle: true } : { since: rfc3339Exact(context.now) } };
}

/** A run that goes on after it was stopped gets its time anew; the time in which it was stopped counts as paused. */
export function withNewTime(
  before: Run | undefined,
  state: State,
  { spec, now }: { spec: RolloutSpec; now: number },
): State {
  const { run } = state;
  if (before?.stopped === undefined || run.stopped !== undefined || run.id !== before.id) return state;
  // A pause that it was stopped in counts itself, from its start to its end.
  const isPause = stagesOf(spec, before.direct)[before.step.index]?.kind === 'pause';
  const stoppedSeconds = isPause ? 0 : secondsBetween(timeMs(before.stopped.at) ?? now, now);
  const pausedSeconds = run.pausedSeconds + stoppedSeconds;
  return { ...state, run: { ...run, pausedSeconds, progress: { since: rfc3339Exact(now) } } };
}

/** The part of the status that remembers it. */
export function progressStatus({ progress }: Run): { progress?: Progress } & Pick<RolloutStatus, 'progress'> {
  return progress === undefined ? {} : { progress };
}

/**
 * Machines that could get further: those at work, those to be told again, and as many of the others as the batch takes.
 * Who is off, on hold or asked can't.
 */
function ableOf({ members, batch, state }: Position, { snapshot }: Context): Member[] {
  const isSuspended = snapshot.rollout.spec.suspend === true;
  const isFree = ({ facts }: Member): boolean =>
    facts.online && facts.hold === undefined && (facts.waitsForUser === undefined || state.run.urgent !== undefined);
  const atWork = members.filter(
    ({ standing, facts }) => facts.online && (standing.kind === 'updating' || standing.kind === 'fetching'),
  );
  if (isSuspended || batch === undefined) return atWork;
  const isToldAgain = ({ standing }: Member): boolean => standing.kind === 'again' || standing.kind === 'changed';
  const again = members.filter((member) => isToldAgain(member) && isFree(member));
  // Who has begun keeps its place in the batch.
  const rank = ({ standing }: Member): number => (standing.kind === 'fetched' || standing.kind === 'fetching' ? 0 : 1);
  const next = batch.candidates
    .filter(isFree)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, batch.room);
  return [...new Set([...atWork, ...again, ...next])];
}

/** What such a machine needs its window for. */
function actionOf(kind: Member['standing']['kind']): WindowAction {
  return kind === 'pending' || kind === 'fetching' ? 'Download' : 'Switch';
}

function lastMove({ view, members }: Position, now: number): number {
  const { run } = view;
  const moves = [run.startedAt, run.step.startedAt, run.retry.count > 0 ? run.retry.at : undefined];
  let last = timeMs(run.progress?.since) ?? Number.NEGATIVE_INFINITY;
  const take = (moment: number | undefined) => {
    if (moment !== undefined && moment <= now && moment > last) last = moment;
  };
  for (const move of moves) take(move);
  for (const member of members) for (const moment of movesOf(view, member)) take(moment);
  return last === Number.NEGATIVE_INFINITY ? now : last;
}

/**
 * When a machine got further. Of its attempt the end counts by a clock that can be right; when it began is the word of the
 * machine alone.
 */
function movesOf(view: View, { facts, standing, closure }: Member): (number | undefined)[] {
  // Who soaks gets further by that.
  const soaks = standing.kind === 'soaking' ? [view.now] : [];
  if (!isOrderOfRun(view, facts)) return soaks;
  const { desired, own } = facts;
  const end = own?.finishedAt === undefined ? undefined : finishedAt(facts, view.now);
  const since = standing.kind === 'updated' && closure !== undefined ? runsSince(facts, closure, view.now) : undefined;
  const soakMs = view.stage.kind === 'batch' ? view.stage.soakMs : 0;
  const soaked = since === undefined ? undefined : since + soakMs;
  return [...soaks, timeMs(desired?.since), timeMs(own?.startedAt), end, soaked];
}
