// The world of a forecast: the rollout, its machines and what they have in hand, at one simulated moment.
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';
import type { Measured } from './analysis/memory.ts';
import type { MeasurementTask } from './analysis/tasks.ts';
import { type Answer, answerOf, withOrder } from './forecast-machine.ts';
import type { Pace } from './forecast-pace.ts';
import { rebootChanges } from './order-desired.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';
import type { Order } from './tell.ts';

/** Starts as the snapshot says; its time (ms) goes on by `advance` alone. */
export class World {
  now: number;
  readonly #snapshot: Snapshot;
  readonly #pace: Pace;
  #rollout: Rollout;
  readonly #machines: Map<string, NixMachine>;
  /** Machines that have something in hand, and what becomes of them when. */
  readonly #inHand = new Map<string, Answer>();

  /** What is measured counts as good. */
  #measured: readonly Measured[] = [];

  constructor(snapshot: Snapshot, pace: Pace, now: number) {
    this.#snapshot = snapshot;
    this.#pace = pace;
    this.now = now;
    this.#rollout = withoutBackground(snapshot.rollout);
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
        measured: this.#measured,
      },
      new Date(this.now),
    );
    this.#rollout = { ...this.#rollout, status: planned.status };
    this.#measured = planned.measure.map((task) => goodResult(task, this.now));
    for (const order of [...planned.rollback, ...planned.dispatch, ...planned.adopt]) this.#tell(order, planned, true);
    for (const { machine } of planned.reboot) this.#restart(machine);
    for (const order of planned.fetch) this.#tell(order, planned, false);
    return planned;
  }

  /** When something happens next: a machine answers, or time alone changes something. */
  nextMoment({ nextCheck, dispatch, rollback, fetch, adopt, reboot, measure }: Plan): number | undefined {
    const moments = [...this.#inHand.values()].map(({ at }) => at);
    const check = timeMs(nextCheck ?? undefined);
    if (check !== undefined) moments.push(check);
    // What was just told or measured changes what the planner sees.
    const told = dispatch.length + rollback.length + fetch.length + adopt.length + reboot.length;
    if (measure.length > 0 || (moments.length === 0 && told > 0)) return this.now + 1;
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

  /** Approves the pause that waits for a person; false where the run waits for something else. */
  approve({ phase, status }: Plan): boolean {
    const reason = status.conditions?.find(({ type }) => type === 'Ready')?.reason;
    if (phase !== 'Paused' || reason !== 'Paused' || status.run === undefined || status.step === undefined)
      return false;
    const pause = this.#rollout.spec.steps?.[status.step.index]?.pause;
    if (pause === undefined || pause.duration !== undefined) return false;
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

  #restart(name: string): void {
    const machine = this.#machines.get(name);
    const changes = machine && rebootChanges(machine, this.now);
    if (machine === undefined || changes === undefined) return;
    this.#machines.set(name, { ...machine, status: { ...machine.status, ...changes } as NixMachineStatus });
    this.#await(name);
  }

  #await(name: string): void {
    const machine = this.#machines.get(name);
    const answer = machine === undefined ? undefined : answerOf(machine, this.#pace, this.now);
    if (answer === undefined) this.#inHand.delete(name);
    else this.#inHand.set(name, answer);
  }
}

/** Analysis in the background only ever stops a run; a course in which all goes well is the same without it. */
function withoutBackground(rollout: Rollout): Rollout {
  const { analysis: _, ...spec } = rollout.spec;
  return { ...rollout, spec };
}

function goodResult({ run, scope, index, startedAt, number, rules }: MeasurementTask, at: number): Measured {
  const measurement = { result: 'Successful' as const, value: undefined, at, message: 'assumed by the forecast' };
  return { run, scope, index, startedAt, number, metric: rules.name, measurement };
}
