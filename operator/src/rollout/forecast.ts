// The course of a rollout as it stands: the real planner, run forward in simulated time. Pure and deterministic.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout, RolloutPhase } from '@floe/crds/rollout';
import { answerOf, withOrder } from './forecast-machine.ts';
import { type Pace, paceOf } from './forecast-pace.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';
import type { Hold, Order } from './tell.ts';
import { rfc3339, timeMs } from './time.ts';

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
  const pace = options.pace ?? paceOf(snapshot.machines);
  const world = new World(snapshot, pace, now.getTime());
  const horizon = now.getTime() + (options.horizonMs ?? HORIZON_MS);
  const waves: Wave[] = [];
  let left = Math.max(10, Math.floor((options.looks ?? LOOKS) / Math.max(1, snapshot.machines.length)));
  let approved = false;
  for (;;) {
    const planned = world.step();
    left -= 1;
    const wave = waveOf(planned, world);
    if (isNews(wave, waves.at(-1))) waves.push(wave);
    if (isOver(planned, world)) return course({ kind: 'ended', message: messageOf(planned) }, planned);
    const next = world.nextMoment(planned);
    if (next === undefined && options.approved === true && world.approve(planned)) approved = true;
    else if (next === undefined) return course({ kind: 'waits', waitsFor: messageOf(planned) }, planned);
    else if (next > horizon) {
      return course({ kind: 'cut', waitsFor: `${messageOf(planned)}; nobody looks further ahead` }, planned);
    } else if (left <= 0) {
      return course({ kind: 'cut', waitsFor: 'the course is longer than is planned ahead' }, planned);
    } else world.advance(next);
  }

  type Ending =
    | { readonly kind: 'ended'; readonly message: string }
    | { readonly kind: 'waits' | 'cut'; readonly waitsFor: string };

  function course(ending: Ending, planned: Plan): Course {
    const at = rfc3339(world.now);
    const { revision, stableRevision, startedAt } = planned.status;
    return {
      rollout: planned.rollout,
      revision,
      from: stableRevision === revision ? undefined : stableRevision,
      startedAt,
      waves,
      end: { ...ending, at, phase: planned.phase },
      left: planned.hold,
      pace,
      approved,
    };
  }
}

/** The rollout, its machines and what they have in hand, at one simulated moment. */
class World {
  now: number;
  readonly #snapshot: Snapshot;
  readonly #pace: Pace;
  #rollout: Rollout;
  readonly #machines: Map<string, NixMachine>;
  /** Machines that have something in hand, and what becomes of them when. */
  readonly #inHand = new Map<string, { readonly at: number; readonly machine: NixMachine }>();

  constructor(snapshot: Snapshot, pace: Pace, now: number) {
    this.#snapshot = snapshot;
    this.#pace = pace;
    this.now = now;
    this.#rollout = snapshot.rollout;
    this.#machines = new Map(snapshot.machines.map((machine) => [machine.metadata.name, machine]));
    for (const name of this.#machines.keys()) this.#await(name);
  }

  get busy(): boolean {
    return this.#inHand.size > 0;
  }

  /** Plans once and carries out what the plan says. */
  step(): Plan {
    const { name } = this.#rollout.metadata;
    const planned = plan(
      {
        ...this.#snapshot,
        rollout: this.#rollout,
        rollouts: this.#snapshot.rollouts.map((other) => (other.metadata.name === name ? this.#rollout : other)),
        machines: [...this.#machines.values()],
      },
      new Date(this.now),
    );
    this.#rollout = { ...this.#rollout, status: planned.status };
    for (const order of [...planned.rollback, ...planned.dispatch, ...planned.adopt]) this.#tell(order, planned, true);
    for (const order of planned.fetch) this.#tell(order, planned, false);
    return planned;
  }

  /** When something happens next: a machine answers, or time alone changes something. */
  nextMoment({ nextCheck, dispatch, rollback, fetch, adopt }: Plan): number | undefined {
    const moments = [...this.#inHand.values()].map(({ at }) => at);
    const check = timeMs(nextCheck ?? undefined);
    if (check !== undefined) moments.push(check);
    // Nothing is in hand, but what was just told changes what the planner sees.
    if (moments.length === 0 && dispatch.length + rollback.length + fetch.length + adopt.length > 0)
      return this.now + 1;
    const next = moments.length === 0 ? undefined : moments.reduce((a, b) => Math.min(a, b));
    return next === undefined ? undefined : Math.max(this.now + 1, next);
  }

  /** Goes to a moment; machines that answer until then have answered. */
  advance(to: number): void {
    this.now = to;
    for (const [name, { at, machine }] of this.#inHand) {
      if (at > to) continue;
      this.#machines.set(name, machine);
      this.#inHand.delete(name);
    }
  }

  /** Approves the pause in hand; false where the run waits for something else. */
  approve({ phase, status }: Plan): boolean {
    const reason = status.conditions?.find(({ type }) => type === 'Ready')?.reason;
    if (phase !== 'Paused' || reason === 'Suspended' || status.run === undefined || status.step === undefined) {
      return false;
    }
    const value = `${status.run}.${status.step.index}`;
    if (status.lastHandled?.['approve'] === value) return false;
    const { metadata } = this.#rollout;
    const annotations = { ...metadata.annotations, 'floe.dev/approve': value };
    this.#rollout = { ...this.#rollout, metadata: { ...metadata, annotations } };
    return true;
  }

  #tell(order: Order, planned: Plan, go: boolean): void {
    const machine = this.#machines.get(order.machine);
    if (machine === undefined) return;
    const giver = { rollout: planned.rollout, run: planned.status.run ?? '', go, now: this.now };
    this.#machines.set(order.machine, withOrder(machine, order, giver));
    this.#await(order.machine);
  }

  #await(name: string): void {
    const machine = this.#machines.get(name);
    const answer = machine === undefined ? undefined : answerOf(machine, this.#pace, this.now);
    if (answer === undefined) this.#inHand.delete(name);
    else this.#inHand.set(name, answer);
  }
}

function isOver({ phase, dispatch, fetch, rollback, adopt }: Plan, world: World): boolean {
  const told = dispatch.length + fetch.length + rollback.length + adopt.length;
  return TERMINAL.includes(phase) && told === 0 && !world.busy;
}

function waveOf(planned: Plan, world: World): Wave {
  const told = (orders: readonly Order[]): Told[] => orders.map(({ machine, closure }) => ({ machine, closure }));
  const { phase, step } = planned;
  return {
    at: rfc3339(world.now),
    step: step.index,
    phase,
    dispatch: told(planned.dispatch),
    fetch: told(planned.fetch),
    rollback: told(planned.rollback),
    ...(world.busy || TERMINAL.includes(phase) ? {} : { waitsFor: messageOf(planned) }),
  };
}

/** Whether a look tells something: machines that are told, or a wait that was not said yet. */
function isNews(wave: Wave, before: Wave | undefined): boolean {
  if (wave.dispatch.length + wave.fetch.length + wave.rollback.length > 0) return true;
  if (wave.waitsFor === undefined) return false;
  return !(before?.waitsFor === wave.waitsFor && before.step === wave.step && before.phase === wave.phase);
}

/** The sentence of the Ready condition: what goes on, or what the run waits for. */
function messageOf({ status, phase }: Plan): string {
  return status.conditions?.find(({ type }) => type === 'Ready')?.message ?? phase;
}
