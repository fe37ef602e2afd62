// Who is told what now: the position of the run turned into goes, fetches, returns, and a reason for everyone else.
import { analysisWait } from './analysis/wording.ts';
import type { Batch } from './batch.ts';
import type { Budget } from './budget.ts';
import type { Position } from './course.ts';
import { commonReason, fixedReason } from './holds.ts';
import { keepsSlotUntil, minReadyOf } from './min-ready.ts';
import { type Opening, openingOf, timeChanges } from './next-change.ts';
import { standstillAt } from './progress.ts';
import { rebootsWithGo } from './reboot-policy.ts';
import { planReboots, type Reboots } from './reboots.ts';
import { planRollback, type Rollback } from './rollback.ts';
import { goesOn } from './run.ts';
import type { BatchStage } from './stage.ts';
import type { Member } from './standing.ts';
import { type Context, type State, stop } from './state.ts';
import { type Hold, type Order, type Told, tell } from './tell.ts';
import { clockTime } from './time.ts';
import { frozenHold, momentOf, timeHold } from './time-holds.ts';
import { windowEnds, withdrawn } from './withdraw.ts';
import { asArguments } from './wording.ts';

export type Decision = {
  readonly state: State;
  readonly dispatch: readonly Order[];
  readonly fetch: readonly Order[];
  readonly hold: readonly Hold[];
  readonly reboots: Reboots;
  readonly rollback: readonly Order[];
  /** Present while a run is taken back, and after. */
  readonly returns: Rollback | undefined;
  /** When time alone changes something, in ms. */
  readonly nextCheck: number | undefined;
  /** The first window that opens for those who wait for one. */
  readonly opening: Opening | undefined;
};

/** Decides over all members of the run. */
export function decide(position: Position, budget: Budget, context: Context): Decision {
  const { state } = position;
  if (state.run.rollback !== undefined) return takingBack(position, budget, context);
  const moment = momentOf(position, context);
  const back = withdrawn(position.members, state.run, moment);
  const isBack = new Set(back.map(({ machine }) => machine));
  const parts = turns(position);
  const isLeft = ({ facts }: Member): boolean => !isBack.has(facts.name);
  const turn = parts.turn.filter(isLeft);
  const rest = parts.rest.filter(isLeft);
  const reboots = rebootsOf(position, budget, context);
  const told = telling(position, { budget: less(budget, reboots.slots), turn, context });
  const waiting = rest.map((member) => restHold(position, member, context));
  return {
    state,
    ...told,
    fetch: [...told.fetch, ...back],
    hold: withReboots([...told.hold, ...waiting.flat()], reboots),
    reboots,
    rollback: [],
    returns: undefined,
    nextCheck: nextCheck(position, context, [
      ...(told.dispatch.length + reboots.told.length === 0 ? [] : [deadline(position, context)]),
      ...reboots.checks,
      ...readyTimes(position, context),
      ...timeChanges(moment, turn),
      ...windowEnds(position.members, moment),
      ...standstill(position, context),
    ]),
    opening: openingOf(moment, turn, told.hold),
  };
}

function rebootsOf(position: Position, budget: Budget, context: Context): Reboots {
  const { state, members } = position;
  const moment = momentOf(position, context);
  return planReboots(members, { run: state.run, budget, moment, groups: context.groups, snapshot: context.snapshot });
}

/** What is left of the budget; what it says stays. */
function less(budget: Budget, slots: number): Budget {
  return { ...budget, free: Math.max(0, budget.free - slots) };
}

/** The holds, with what keeps machines from a restart that the run waits for. */
function withReboots(hold: readonly Hold[], { waiting }: Reboots): Hold[] {
  return hold.map((entry) => ({ ...entry, ...waiting.get(entry.machine) }));
}

/** When machines are ready for long enough to free their slots. */
function readyTimes({ state, members }: Position, { snapshot, now }: Context): number[] {
  const minReady = minReadyOf(snapshot.rollout.spec, state.run, now);
  if (minReady.ms === 0) return [];
  return members.flatMap(({ facts }) => keepsSlotUntil(facts, minReady) ?? []);
}

function standstill(position: Position, context: Context): number[] {
  const at = standstillAt(position, context);
  return at === undefined ? [] : [at];
}

/** Parts the members: whose turn it may be, and everyone else. */
function turns({ state, batch, members, analysis }: Position): { turn: Member[]; rest: readonly Member[] } {
  const { run } = state;
  if (!(goesOn(run) || run.completed)) return { turn: [], rest: members };
  const isHeldUp = analysis.verdict.kind === 'inconclusive';
  const candidates = new Set(batch?.candidates);
  const isTurn = (member: Member): boolean => {
    if (run.completed) return isCompletable(member);
    // What changed on one machine waits for no step and nobody's word.
    if (isChange(member)) return true;
    return !isHeldUp && batch !== undefined && (member.standing.kind === 'again' || candidates.has(member));
  };
  const turn: Member[] = [];
  const rest: Member[] = [];
  for (const member of members) (isTurn(member) ? turn : rest).push(member);
  return { turn: byUrgency(turn), rest };
}

/** Whether it is to get a closure that changed after its turn. */
function isChange({ standing, aside }: Member): boolean {
  return standing.kind === 'changed' || (aside && URGENCY.includes(standing.kind));
}

function isCompletable({ standing }: Member): boolean {
  return URGENCY.includes(standing.kind);
}

/** Who is to be told again holds up the batch, who has fetched is ready to go: they have their turn first. */
const URGENCY: readonly string[] = ['again', 'changed', 'fetched', 'fetching', 'pending', 'busy'];

/** Sorts by urgency; the order within stays. */
function byUrgency(turn: readonly Member[]): Member[] {
  const rank = ({ standing }: Member) => Math.min(URGENCY.indexOf(standing.kind), URGENCY.indexOf('pending'));
  return turn.toSorted((a, b) => rank(a) - rank(b));
}

type Telling = { readonly budget: Budget; readonly turn: readonly Member[]; readonly context: Context };

function telling(position: Position, { budget, turn, context }: Telling): Told {
  const { spec, metadata } = context.snapshot.rollout;
  if (spec.suspend === true) {
    const hold = turn.map((member) => ({
      machine: member.facts.name,
      ...commonReason(member, { reason: 'Suspended', message: 'spec.suspend of the Rollout is true' }),
    }));
    return { dispatch: [], fetch: [], hold };
  }
  const moment = momentOf(position, context);
  const closed = dependencyHold(context) ?? frozenHold(moment);
  if (closed !== undefined) {
    const hold = turn.map((member) => ({ machine: member.facts.name, ...commonReason(member, closed) }));
    return { dispatch: [], fetch: [], hold };
  }
  const { batch, stage, state } = position;
  const canary = stage.kind === 'batch' && batch !== undefined && !state.run.completed ? stage : undefined;
  const sickToo = canary === undefined || state.run.urgent !== undefined || maySickBeTold(canary, batch);
  return tell({
    orders: { rollout: metadata.name, run: state.run },
    turn: sickToo && budget.free <= 0 ? sickFirst(turn) : turn,
    room: canary === undefined ? undefined : batch?.room,
    budget,
    groups: context.groups,
    fetchFirst: spec.offline === 'Skip',
    rebootsWithGo: (facts) => rebootsWithGo(spec, facts) && timeHold(moment, facts, 'Reboot') === undefined,
    moment,
    sickToo,
    reason: state.run.completed || state.run.direct ? 'Joined' : 'Rollout',
    later: { reason: 'LaterStep', message: 'its turn comes in a later step' },
  });
}

/** Where no slot is free only those can be told that hold one: a count that takes others would keep the fix from them. */
function sickFirst(turn: readonly Member[]): Member[] {
  const isSick = ({ facts }: Member): boolean => facts.online && !facts.well;
  return [...turn.filter(isSick), ...turn.filter((member) => !isSick(member))];
}

/**
 * A machine that is sick already is no canary: a fix reaches it once the canary has passed. Where there is no canary, or
 * nobody else to be one, it is told at once.
 */
function maySickBeTold(stage: BatchStage, batch: Batch | undefined): boolean {
  if (!stage.first || stage.last || batch === undefined) return true;
  const others = batch.candidates.some(
    ({ facts, standing }) => standing.kind === 'busy' || (facts.online && facts.well && facts.hold === undefined),
  );
  return batch.taken === 0 && !others;
}

function restHold(position: Position, member: Member, context: Context): Hold[] {
  const { snapshot, now } = context;
  const { state, stage } = position;
  const named = asArguments(snapshot.rollout.metadata);
  const fixed = fixedReason(member, named, now);
  if (fixed !== undefined) return [{ machine: member.facts.name, ...fixed }];
  if (member.standing.kind === 'updated') return [];
  return [{ machine: member.facts.name, ...commonReason(member, common()) }];

  function common(): Omit<Hold, 'machine'> {
    if (state.run.stopped !== undefined) {
      return { reason: 'Failed', message: `the run tells nobody else: ${state.run.stopped.message}` };
    }
    if (snapshot.rollout.spec.suspend === true)
      return { reason: 'Suspended', message: 'spec.suspend of the Rollout is true' };
    const analysis = analysisWait(position, named, now);
    if (analysis !== undefined) return { reason: 'WaitingForAnalysis', message: analysis };
    if (stage.kind === 'pause') return { reason: 'StepPaused', message: pauseMessage(position, named, now) };
    return (
      dependencyHold(context) ??
      frozenHold(momentOf(position, context)) ?? { reason: 'LaterStep', message: 'its turn comes in a later step' }
    );
  }
}

function dependencyHold({ blocker }: Context): Omit<Hold, 'machine'> | undefined {
  return blocker && { reason: 'WaitingForDependency', message: blocker.message };
}

/** What a pause waits for; `rollout` as the arguments of a command name it. */
export function pauseMessage({ stage, state }: Position, rollout: string, now: number): string {
  if (stage.kind === 'pause' && stage.durationMs !== undefined) {
    return `paused until ${clockTime((state.run.step.startedAt ?? now) + stage.durationMs, now)}`;
  }
  return `waiting for approval: kubectl floe approve ${rollout}`;
}

function takingBack(position: Position, budget: Budget, context: Context): Decision {
  const { view, members, state } = position;
  const reboots = rebootsOf(position, budget, context);
  const returns = planRollback(view, members, {
    revision: state.run.rollback?.to,
    budget: less(budget, reboots.slots),
    groups: context.groups,
    rebootsWithGo: (facts) => rebootsWithGo(context.snapshot.rollout.spec, facts),
    suspended: context.snapshot.rollout.spec.suspend === true,
  });
  const ends = returns.ended && state.run.stopped === undefined;
  const next = ends ? stop(state, 'RolledBack', { message: endMessage(position, returns), context }) : state;
  return {
    state: next,
    dispatch: [],
    fetch: [],
    hold: returns.hold,
    reboots,
    rollback: returns.rollback,
    returns,
    opening: undefined,
    nextCheck: nextCheck(position, context, [
      ...returns.checks,
      ...reboots.checks,
      ...(returns.rollback.length + reboots.told.length === 0 ? [] : [deadline(position, context)]),
    ]),
  };
}

function endMessage({ state }: Position, { lost }: Rollback): string {
  const cause = state.run.failures[0];
  const machine = cause === undefined ? undefined : `${cause.machine}: ${cause.message}`;
  const reason = state.run.analysis.cause ?? machine;
  const why = reason === undefined ? '' : `; ${reason}`;
  return `rolled back${lost > 0 ? `, ${lost} could not return` : ''}${why}`;
}

/** When the time of those that get their go now is over. */
function deadline({ view }: Position, { now }: Context): number {
  return now + view.machineTimeoutMs;
}

/** The first moment after now at which time alone changes something. */
function nextCheck(
  { state, stage, members, analysis }: Position,
  { now }: Context,
  more: readonly number[],
): number | undefined {
  const moments = [...more];
  if (goesOn(state.run) && stage.kind === 'pause' && stage.durationMs !== undefined) {
    moments.push((state.run.step.startedAt ?? now) + stage.durationMs);
  }
  // What is due is being measured: it takes its time limit at most.
  for (const { at, rules } of analysis.upcoming) moments.push(at > now ? at : now + rules.timeoutMs);
  for (const { standing, facts } of members) {
    if ('until' in standing && standing.until !== undefined) moments.push(standing.until);
    if (facts.hold?.until !== undefined) moments.push(facts.hold.until);
    if (facts.waitsForUser !== undefined) moments.push(facts.waitsForUser.until);
  }
  const coming = moments.filter((moment) => moment > now);
  return coming.length === 0 ? undefined : coming.reduce((a, b) => Math.min(a, b));
}
