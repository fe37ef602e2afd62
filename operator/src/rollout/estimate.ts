// When a run will probably end: steps, budget, windows and what machines took so far, without looking at each of them.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import { selects } from '../conditions/label-selector.ts';
import { sameJson } from '../conditions/merge-patch.ts';
import { timeMs } from '../conditions/moment.ts';
import type { Position } from './course.ts';
import { paceOf } from './forecast-pace.ts';
import { goesOn, hurryOf } from './run.ts';
import { budgetLimit, parseSize, percentTarget } from './share.ts';
import type { BatchStage, Stage } from './stage.ts';
import type { Member } from './standing.ts';
import type { Context } from './state.ts';
import { clockTime } from './time.ts';

const MINUTE_MS = 60_000;
/** Part of the time left by which an estimate must be off before it is corrected. */
const TOLERANCE = 0.1;
const OPEN: readonly string[] = ['updating', 'soaking', 'again'];
const WAITING: readonly string[] = ['pending', 'busy', 'fetching', 'fetched', 'again', 'changed'];

/**
 * The end of a run, in whole minutes; undefined where it has ended, or waits for a person. Machines that are off or on
 * hold are not waited for.
 */
export function estimateEnd(position: Position, context: Context): number | undefined {
  const { state, stages, members } = position;
  const { run } = state;
  const { spec } = context.snapshot.rollout;
  const waitsForPerson = position.analysis.verdict.kind === 'inconclusive';
  if (!goesOn(run) || waitsForPerson || spec.suspend === true || members.length === 0) return undefined;
  const size = parseSize(spec.maxUnavailable ?? '10%') ?? { kind: 'percent' as const, percent: 10 };
  const work: Work = {
    limit: Math.max(1, budgetLimit(size, members.length)),
    goMs: paceOf(
      members.map(({ facts }) => facts.machine),
      context.now,
    ).goMs,
    position,
    context,
  };
  const left = members.filter(({ standing, facts }) => WAITING.includes(standing.kind) && isReachable(facts)).length;
  const start: Cursor = { moment: context.now, left };
  const end = stages
    .slice(run.step.index)
    .reduce<Cursor | undefined>((at, stage, i) => at && afterStage(at, { stage, isNow: i === 0 }, work), start);
  return end === undefined ? undefined : Math.ceil(end.moment / MINUTE_MS) * MINUTE_MS;
}

/** How far the estimate has come: the moment (ms), and how many machines are left then. */
type Cursor = { readonly moment: number; readonly left: number };

function afterStage(
  { moment, left }: Cursor,
  { stage, isNow }: { stage: Stage; isNow: boolean },
  work: Work,
): Cursor | undefined {
  const { position } = work;
  if (stage.kind === 'batch') {
    const taken = Math.min(left, isNow ? roomOf(position) : sizeOf(stage, left, position.members));
    const end = afterBatch(moment, { stage, taken, isNow }, work);
    return end === undefined ? undefined : { moment: end, left: left - taken };
  }
  const waits = waitOf(stage);
  if (waits === undefined) return undefined;
  const start = isNow ? (position.state.run.step.startedAt ?? moment) : moment;
  return { moment: Math.max(moment, start + waits), left };
}

/** The estimate to write: the one written before stands while the new one is hardly another. RFC 3339. */
export function nextEstimate(before: string | undefined, end: number | undefined, now: number): string | undefined {
  if (end === undefined) return undefined;
  const written = timeMs(before);
  const tolerance = Math.max(MINUTE_MS, TOLERANCE * (end - now));
  const stands = written !== undefined && written > now && Math.abs(written - end) <= tolerance;
  return rfc3339Exact(stands ? written : end);
}

type Work = {
  readonly limit: number;
  readonly goMs: number;
  readonly position: Position;
  readonly context: Context;
};

const isReachable = ({ online, hold }: Member['facts']): boolean => online && hold === undefined;

/** Machines that the batch in hand still takes, those to be told again among them. */
function roomOf({ batch, members }: Position): number {
  const again = members.filter(({ standing }) => standing.kind === 'again').length;
  return (batch?.room ?? 0) + again;
}

/** Machines that a later batch takes of those that are left; nearly: who has the revision by then is not looked at. */
function sizeOf({ size, selector, last }: BatchStage, left: number, members: readonly Member[]): number {
  if (last) return left;
  const matching =
    selector === undefined
      ? members.length
      : members.filter(({ facts }) => selects(selector, facts.machine.metadata.labels)).length;
  if (size === undefined) return Math.min(left, matching);
  if (size.kind === 'count') return Math.min(size.count, matching);
  const has = selector === undefined ? members.length - left : 0;
  return Math.max(0, percentTarget(size.percent, matching) - has);
}

/** The end of a batch that begins, or goes on, at a moment: its waves in the time of windows, then the soak. */
function afterBatch(
  moment: number,
  { stage, taken, isNow }: { stage: BatchStage; taken: number; isNow: boolean },
  { limit, goMs, position, context }: Work,
): number | undefined {
  const open = isNow ? position.members.filter(({ standing }) => OPEN.includes(standing.kind)) : [];
  const soaking = open.reduce(
    (end, { standing }) => (standing.kind === 'soaking' ? Math.max(end, standing.until) : end),
    0,
  );
  const inHand = open.some(({ standing }) => standing.kind === 'updating') ? 1 : 0;
  const waves = Math.ceil(taken / limit) + inHand;
  const [any] = position.members;
  if (waves === 0 || any === undefined) return Math.max(moment, soaking);
  const hurry = hurryOf(position.state.run);
  const done = context.times.after(any.facts, { action: 'Switch', hurry }, { since: moment, forMs: waves * goMs });
  return done === undefined ? undefined : Math.max(done + stage.soakMs, soaking);
}

/** How long a step takes that moves nobody, in ms; undefined: until a person says so. */
function waitOf(stage: Exclude<Stage, BatchStage>): number | undefined {
  if (stage.kind === 'pause') return stage.durationMs;
  return stage.metrics.reduce(
    (longest, { initialDelayMs, intervalMs, count }) =>
      Math.max(longest, initialDelayMs + intervalMs * Math.max(0, (count ?? 1) - 1)),
    0,
  );
}

/**
 * The status with the estimated end. Where nothing else in it is new, the estimate stays what it was: it never is the
 * reason of a write.
 */
export function withEstimate(status: RolloutStatus, position: Position, context: Context): RolloutStatus {
  const { now, snapshot } = context;
  const before = snapshot.rollout.status;
  const unchanged = saying(status, before?.estimatedEnd, now);
  if (sameJson(unchanged, before) || !isFurther(before, status, now)) return unchanged;
  return saying(status, nextEstimate(before?.estimatedEnd, estimateEnd(position, context), now), now);
}

/**
 * Whether the run has come so far that its end is worth another look: another step or phase, a hundredth of the machines,
 * or an estimate that has passed. A large fleet reports too often to look each time.
 */
function isFurther(before: RolloutStatus | undefined, after: RolloutStatus, now: number): boolean {
  const end = timeMs(before?.estimatedEnd);
  if (before === undefined || end === undefined || end <= now) return true;
  const place = ({ run, phase, step, counts }: RolloutStatus) => [
    run,
    phase,
    step?.index,
    step?.startedAt,
    counts?.total,
  ];
  if (!sameJson(place(before), place(after))) return true;
  const done = Math.abs((after.counts?.updated ?? 0) - (before.counts?.updated ?? 0));
  return done * 100 >= (after.counts?.total ?? 0);
}

function saying(status: RolloutStatus, estimatedEnd: string | undefined, now: number): RolloutStatus {
  const end = timeMs(estimatedEnd);
  if (estimatedEnd === undefined || end === undefined) return status;
  const conditions = (status.conditions ?? []).map((condition) =>
    condition.type === 'Reconciling' && condition.status === 'True'
      ? { ...condition, message: `${condition.message}; ends about ${clockTime(end, now)}` }
      : condition,
  );
  return { ...status, estimatedEnd, conditions };
}
