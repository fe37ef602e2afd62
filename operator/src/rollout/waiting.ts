// What a run as a whole waits for by its own plan, windows, freezes and suspension, and how long: time that counts as paused.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';
import type { Position } from './course.ts';
import type { Decision } from './decide.ts';
import { goesOn, type Run, settled, type Waiting } from './run.ts';
import type { Context } from './state.ts';
import { frozenHold, momentOf } from './time-holds.ts';

type Wait = { readonly reason: Waiting['reason']; readonly until: number | undefined };

/** Standings of machines that have something in hand. */
const IN_HAND: readonly string[] = ['updating', 'soaking', 'fetching'];
/** Reasons that are not of the clock: who waits for one of them holds up the run while windows are open. */
const ELSEWHERE: readonly string[] = [
  'BudgetFull',
  'GroupBudgetFull',
  'NotReady',
  'InProgress',
  'WaitingForDependency',
  'WaitingForUser',
];

/** What the run waits for now; undefined where machines move, or it waits for something else. */
function waitNow(position: Position, decision: Decision, context: Context): Wait | undefined {
  const { state, stage, members, batch } = position;
  const told = decision.dispatch.length + decision.fetch.length;
  if (!goesOn(state.run) || stage.kind !== 'batch' || told > 0) return undefined;
  if (members.some(({ standing }) => IN_HAND.includes(standing.kind))) return undefined;
  if (context.snapshot.rollout.spec.suspend === true) return { reason: 'Suspended', until: undefined };
  const moment = momentOf(position, context);
  if (frozenHold(moment) !== undefined) return { reason: 'Frozen', until: context.times.freeze(context.now).until };
  const turn = new Set(batch?.matching.map(({ facts }) => facts.name));
  const reasons = new Set(decision.hold.filter(({ machine }) => turn.has(machine)).map(({ reason }) => reason));
  if (!reasons.has('OutsideWindow') || ELSEWHERE.some((reason) => reasons.has(reason as never))) return undefined;
  return { reason: 'OutsideWindow', until: decision.opening?.at };
}

/** The run after a plan: a wait begins, goes on or ends. */
export function withWaiting(position: Position, decision: Decision, context: Context): Run {
  const { run } = decision.state;
  const { now } = context;
  const wait = waitNow({ ...position, state: decision.state }, decision, context);
  if (wait === undefined) return settled(run, now);
  const until = timeMs(run.waiting?.until);
  const goes = run.waiting !== undefined && (until === undefined || now < until);
  const base = goes ? run : settled(run, now);
  const since = goes && run.waiting !== undefined ? run.waiting.since : rfc3339Exact(now);
  return { ...base, waiting: waitingOf(wait, since) };
}

function waitingOf({ reason, until }: Wait, since: string): Waiting {
  return { reason, since, ...(until === undefined ? {} : { until: rfc3339Exact(until) }) };
}

/** The part of the status that remembers it. */
export function waitingStatus({ waiting }: Run): Pick<RolloutStatus, 'waiting'> {
  return waiting === undefined ? {} : { waiting };
}
