// The course of a rollout as it stands: the real planner, run forward in simulated time. Pure and deterministic.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutPhase } from '@floe/crds/rollout';
import { type Pace, paceOf } from './forecast-pace.ts';
import { World } from './forecast-world.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';
import type { Hold, Order } from './tell.ts';

export type ForecastOptions = {
  /** How long machines take; default what they took before. */
  readonly pace?: Pace;
  /** Whether each pause that waits for a person is approved at once; else the course ends there. */
  readonly approved?: boolean;
  /** How far ahead, in ms; default 400 days. */
  readonly horizonMs?: number;
  /** How many looks of the planner at one machine in all; default 20 million. */
  readonly looks?: number;
};

/** Machines that are told at one moment, or what nobody moves for. */
export type Wave = {
  /** RFC 3339. */
  readonly at: string;
  /** Counted from 0. */
  readonly step: number;
  readonly phase: RolloutPhase;
  /** Machines that get their go. */
  readonly dispatch: readonly Told[];
  /** Machines that are told to fetch only. */
  readonly fetch: readonly Told[];
  /** Machines that are told to return. */
  readonly rollback: readonly Told[];
  /** What the run waits for from then on, where nobody has anything in hand. */
  readonly waitsFor?: string;
};

export type Told = { readonly machine: string; readonly closure: string };

/** How the course ends: the run does, it waits for something that no clock brings, or nobody looked further. */
export type CourseEnd =
  | { readonly kind: 'ended'; readonly at: string; readonly phase: RolloutPhase; readonly message: string }
  | { readonly kind: 'waits'; readonly at: string; readonly phase: RolloutPhase; readonly waitsFor: string }
  | { readonly kind: 'cut'; readonly at: string; readonly phase: RolloutPhase; readonly waitsFor: string };

export type Course = {
  readonly rollout: string;
  readonly revision: string | undefined;
  readonly from: string | undefined;
  readonly startedAt: string | undefined;
  readonly waves: readonly Wave[];
  readonly end: CourseEnd;
  /** Who has not got the revision at the end, and why. */
  readonly left: readonly Hold[];
  readonly pace: Pace;
  /** Whether a pause that waits for a person was taken as approved. */
  readonly approved: boolean;
};

const DAY_MS = 86_400_000;
const HORIZON_MS = 400 * DAY_MS;
const LOOKS = 20_000_000;
const TERMINAL: readonly string[] = ['Completed', 'Failed'];

/** Runs the planner forward from `now`. The same input always gives the same course. */
export function forecast(snapshot: Snapshot, now: Date, options: ForecastOptions = {}): Course {
  const pace = options.pace ?? paceOf(snapshot.machines, now.getTime());
  const world = new World(snapshot, pace, now.getTime());
  const limits = {
    horizon: now.getTime() + (options.horizonMs ?? HORIZON_MS),
    looks: Math.max(10, Math.floor((options.looks ?? LOOKS) / Math.max(1, snapshot.machines.length))),
  };
  const waves: Wave[] = [];
  let approved = false;
  for (let look = 1; ; look++) {
    const planned = world.step();
    const wave = waveOf(planned, world);
    if (isNews(wave, waves.at(-1))) waves.push(wave);
    if (options.approved === true && world.approve(planned)) {
      approved = true;
      continue;
    }
    const next = nextOf(planned, world, { ...limits, look });
    if (typeof next === 'number') world.advance(next);
    else return { ...headOf(planned), waves, end: since(next, waves.at(-1)), left: planned.hold, pace, approved };
  }
}

function headOf({ rollout, status }: Plan): Pick<Course, 'rollout' | 'revision' | 'from' | 'startedAt'> {
  const { revision, stableRevision, startedAt } = status;
  return { rollout, revision, from: stableRevision === revision ? undefined : stableRevision, startedAt };
}

/** A run waits from the first word of it on: what changed nothing since then, the end of a hold for instance, is no start. */
function since(end: CourseEnd, last: Wave | undefined): CourseEnd {
  const isSame = end.kind === 'waits' && last !== undefined && !movesAny(last) && last.waitsFor === end.waitsFor;
  return isSame && last.phase === end.phase ? { ...end, at: last.at } : end;
}

type Limits = { readonly horizon: number; readonly looks: number; readonly look: number };

/** The moment to look at next, in ms, or how the course ends. */
function nextOf(planned: Plan, world: World, { horizon, looks, look }: Limits): number | CourseEnd {
  const here = { at: rfc3339Exact(world.now), phase: planned.phase };
  if (isOver(planned, world)) return { kind: 'ended', ...here, message: messageOf(planned) };
  const next = world.nextMoment(planned);
  if (next === undefined) return { kind: 'waits', ...here, waitsFor: messageOf(planned) };
  if (next > horizon) return { kind: 'cut', ...here, waitsFor: `${messageOf(planned)}; nobody looks further ahead` };
  if (look >= looks) return { kind: 'cut', ...here, waitsFor: 'the course is longer than is planned ahead' };
  return next;
}

function isOver({ phase, dispatch, fetch, rollback, adopt }: Plan, world: World): boolean {
  const told = dispatch.length + fetch.length + rollback.length + adopt.length;
  return TERMINAL.includes(phase) && told === 0 && !world.busy;
}

function waveOf(planned: Plan, world: World): Wave {
  const told = (orders: readonly Order[]): Told[] => orders.map(({ machine, closure }) => ({ machine, closure }));
  const { phase, step } = planned;
  return {
    at: rfc3339Exact(world.now),
    step: step.index,
    phase,
    dispatch: told(planned.dispatch),
    fetch: told(planned.fetch),
    rollback: told(planned.rollback),
    ...(world.busy || TERMINAL.includes(phase) ? {} : { waitsFor: messageOf(planned) }),
  };
}

/** Whether a look tells something: machines that are told, or the first word of a wait. */
function isNews(wave: Wave, before: Wave | undefined): boolean {
  if (movesAny(wave)) return true;
  if (wave.waitsFor === undefined) return false;
  return before === undefined || movesAny(before) || before.step !== wave.step || before.phase !== wave.phase;
}

const movesAny = ({ dispatch, fetch, rollback }: Wave): boolean => dispatch.length + fetch.length + rollback.length > 0;

/** The sentence of the Ready condition: what goes on, or what the run waits for. */
function messageOf({ status, phase }: Plan): string {
  return status.conditions?.find(({ type }) => type === 'Ready')?.message ?? phase;
}
