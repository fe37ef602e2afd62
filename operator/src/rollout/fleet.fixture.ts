// A simulated fleet for property tests: machines that carry out orders, fail, go off and return, one small event at a time.
import type { RebootPolicy } from '@floe/crds/activation';
import type { Attempt, NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import type { Rollout, RolloutSpec } from '@floe/crds/rollout';
import { statusPatch } from '../conditions/patch.ts';
import { orderChanges, rebootChanges } from './order-desired.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import { config, machine, R1, rollout, runs, T0 } from './rollout.fixture.ts';
import type { Snapshot } from './snapshot.ts';
import type { Order } from './tell.ts';

export type Fate = 'Committed' | 'RolledBack' | 'Failed' | 'Unconfirmed' | 'RebootRequired';

export type Event =
  | { readonly kind: 'begin'; readonly machine: number }
  | { readonly kind: 'end'; readonly machine: number; readonly fate: Fate }
  | { readonly kind: 'off'; readonly machine: number }
  | { readonly kind: 'on'; readonly machine: number }
  | { readonly kind: 'sick'; readonly machine: number }
  | { readonly kind: 'well'; readonly machine: number }
  | { readonly kind: 'hold'; readonly machine: number; readonly on: boolean }
  | { readonly kind: 'leave'; readonly machine: number }
  | { readonly kind: 'join' }
  /** Its closure changes within every revision, as by another label. */
  | { readonly kind: 'change'; readonly machine: number }
  /** A machine of another config goes off, returns, turns sick or well. */
  | { readonly kind: 'neighbour'; readonly machine: number; readonly well: boolean; readonly online: boolean }
  | { readonly kind: 'wait'; readonly seconds: number }
  | {
      readonly kind: 'verb';
      readonly verb: 'approve' | 'retry' | 'continue' | 'promote' | 'abort' | 'rollback' | 'urgent';
    }
  | { readonly kind: 'revision'; readonly revision: string }
  | { readonly kind: 'spec'; readonly spec: Partial<RolloutSpec> };

/**
 * Times as they really come to be: Floe cuts those of connections, conditions and births to seconds, and machines say those
 * of their attempts by clocks of their own, by turns so many ms ahead.
 */
export type Clocks = readonly number[];

/** How orders are written: as the operator does, or as a program would that knows the printed plan only. */
export type Writer = 'operator' | 'stranger';

/** Each order that was given, with the run it belongs to. */
export type Given = { readonly run: string; readonly order: Order; readonly go: boolean };

export class Fleet {
  now = T0;
  rollout: Rollout;
  revision: string;
  machines: NixMachine[];
  /** Machines of another config of the namespace. */
  others: NixMachine[];
  readonly given: Given[] = [];
  /** Machines that were well and got a go, and have not been well since. */
  readonly disturbed = new Set<string>();
  /** Which closure of a revision machines have, by name; default the first. */
  readonly #variants = new Map<string, number>();
  readonly #writer: Writer;
  readonly #clocks: Clocks | undefined;
  readonly #watches: Pick<Snapshot, 'watches'>;
  #verbs = 0;
  #joined: number;

  constructor(options: {
    spec: Partial<RolloutSpec>;
    labels: readonly Record<string, string>[];
    writer: Writer;
    revision: string;
    /** Labels of machines of another config. */
    others?: readonly Record<string, string>[];
    /** `spec.activation.reboot`, by turns. */
    reboot?: readonly RebootPolicy[];
    /** Default: all times are those of one clock, in ms, and nobody but the fleet itself writes conditions. */
    clocks?: Clocks;
    /** Whether runs are watched from their beginning, as by the operator. */
    watches?: true;
  }) {
    this.#writer = options.writer;
    this.#clocks = options.clocks;
    this.#watches = options.watches === true ? { watches: true } : {};
    this.revision = options.revision;
    this.rollout = rollout(options.spec);
    this.machines = options.labels.map((labels, i) => machine(`m${i}`, runs(`m${i}`, R1), { labels }));
    const { reboot = [] } = options;
    if (reboot.length > 0) {
      this.machines = this.machines.map((m, i) => withPolicy(m, reboot[i % reboot.length] ?? 'Never'));
    }
    this.others = (options.others ?? []).map((labels, i) => {
      const other = machine(`n${i}`, runs(`n${i}`, R1), { labels });
      return { ...other, spec: { ...other.spec, configRef: { name: 'db' } } };
    });
    this.#joined = this.machines.length;
  }

  snapshot(machines: readonly NixMachine[] = this.machines): Snapshot {
    return {
      rollout: this.rollout,
      rollouts: [this.rollout],
      config: config(this.revision),
      machines: [...machines, ...this.others],
      ...this.#watches,
      closures: {
        knows: () => true,
        of: (revision, name) => ({ kind: 'closure', closure: this.closure(revision, name) }),
      },
    };
  }

  /** The closure of a machine in a revision. */
  closure(revision: string, name: string): string {
    const variant = this.#variants.get(name) ?? 0;
    return variant === 0 ? `${revision}/${name}` : `${revision}/${name}+${variant}`;
  }

  plan(machines?: readonly NixMachine[]): Plan {
    return plan(this.snapshot(machines), new Date(this.now));
  }

  /** Stores what a plan says: the status, then the orders. */
  apply(planned: Plan): void {
    this.rollout = { ...this.rollout, status: planned.status };
    for (const order of [...planned.dispatch, ...planned.rollback]) this.#order(order, planned, true);
    for (const order of planned.fetch) this.#order(order, planned, false);
    for (const order of planned.adopt) this.#order(order, planned, true);
    for (const { machine: name } of planned.reboot) this.#reboot(name);
  }

  #reboot(name: string): void {
    const before = this.machines.find(({ metadata }) => metadata.name === name);
    const changes = before && rebootChanges(before, this.now);
    if (before === undefined || changes === undefined) throw new Error(`${name} waits for no restart`);
    if (isWell(before)) this.disturbed.add(name);
    this.#change(name, changes as NixMachineStatus);
  }

  #order(order: Order, planned: Plan, go: boolean): void {
    const run = planned.status.run ?? '';
    const before = this.machines.find(({ metadata }) => metadata.name === order.machine);
    if (before === undefined) throw new Error(`${order.machine} is not there`);
    if (go && isWell(before)) this.disturbed.add(order.machine);
    this.given.push({ run, order, go });
    const changes = orderChanges(before, order, { rollout: 'web', run, go, now: this.now });
    const strange = { ...changes.desired, id: `x${this.given.length}`, reason: 'Rollout' };
    const isGo = go && before.status?.desired?.go === false && before.status.desired.closure === order.closure;
    const desired =
      this.#writer === 'operator'
        ? changes.desired
        : { ...strange, ...(isGo ? { id: before.status?.desired?.id } : {}) };
    this.#change(order.machine, { ...changes, desired } as NixMachineStatus);
  }

  #change(name: string, changes: NixMachineStatus): void {
    this.machines = this.machines.map((m) => (m.metadata.name === name ? this.#changed(m, changes) : m));
    const changed = this.machines.find(({ metadata }) => metadata.name === name);
    if (changed !== undefined && isWell(changed)) this.disturbed.delete(name);
  }

  /** The machine after a write; conditions as the operator derives them, where times are the real ones. */
  #changed(machine: NixMachine, changes: NixMachineStatus): NixMachine {
    if (this.#clocks === undefined) return { ...machine, status: { ...machine.status, ...changes } };
    const { conditions: _, ...rest } = changes;
    return statusPatch(machine, rest, new Date(this.now))?.next ?? machine;
  }

  /** Lets something happen; what can't happen now does not. */
  happen(event: Event): void {
    switch (event.kind) {
      case 'wait':
        this.now += Math.round(event.seconds * 1000);
        return;
      case 'revision':
        this.revision = event.revision;
        return;
      case 'verb':
        this.#order1(event.verb);
        return;
      case 'spec':
        this.rollout = { ...this.rollout, spec: { ...this.rollout.spec, ...event.spec } };
        return;
      case 'join':
        this.#join();
        return;
      case 'neighbour':
        this.#neighbour(event);
        return;
      default:
        this.#machineEvent(event);
    }
  }

  #order1(verb: string): void {
    const { run, step } = this.rollout.status ?? {};
    const value = verb === 'approve' ? `${run}.${step?.index}` : `v${++this.#verbs}`;
    const annotations = { ...this.rollout.metadata.annotations, [`floe.dev/${verb}`]: value };
    this.rollout = { ...this.rollout, metadata: { ...this.rollout.metadata, annotations } };
  }

  #join(): void {
    const name = `m${this.#joined++}`;
    const created = this.#time();
    this.machines = [
      ...this.machines,
      machine(name, runs(name, R1, { connection: { online: true, since: created } }), { created }),
    ];
  }

  #neighbour({ machine: index, well, online }: Extract<Event, { kind: 'neighbour' }>): void {
    const name = `n${index % Math.max(1, this.others.length)}`;
    const status = { connection: { online, since: this.#time() }, ...this.#health(well) };
    this.others = this.others.map((m) => (m.metadata.name === name ? { ...m, status: { ...m.status, ...status } } : m));
  }

  #machineEvent(event: Exclude<Extract<Event, { machine: number }>, { kind: 'neighbour' }>): void {
    const target = this.machines[event.machine % Math.max(1, this.machines.length)];
    if (target === undefined) return;
    const { name } = target.metadata;
    const online = target.status?.connection?.online === true;
    switch (event.kind) {
      case 'off':
        if (online) this.#change(name, { connection: { online: false, since: this.#time() } });
        return;
      case 'on':
        if (!online) this.#change(name, { connection: { online: true, since: this.#time() } });
        return;
      case 'sick':
      case 'well':
        // Who is off says nothing.
        if (online) this.#change(name, this.#health(event.kind === 'well'));
        return;
      case 'leave':
        if (this.machines.length > 1) this.machines = this.machines.filter((m) => m !== target);
        return;
      case 'hold':
        this.machines = this.machines.map((m) => (m === target ? held(m, event.on) : m));
        return;
      case 'change':
        this.#variants.set(name, ((this.#variants.get(name) ?? 0) + 1) % 3);
        return;
      case 'begin':
        if (online) this.#begin(target);
        return;
      case 'end':
        if (online) this.#end(target, event.fate);
        return;
      default:
        event satisfies never;
    }
  }

  #health(well: boolean): NixMachineStatus {
    const status = well ? ('True' as const) : ('False' as const);
    const condition = { type: 'Healthy', status, reason: 'X', message: '', lastTransitionTime: this.#time() };
    return { conditions: [condition], failedUnits: well ? [] : ['x.service'] };
  }

  #begin(target: NixMachine): void {
    const { desired, attempt, current } = target.status ?? {};
    if (desired === undefined) return;
    if (attempt?.desiredId === desired.id) {
      if (attempt.phase === 'RebootRequired' && desired.reboot === true && attempt.finishedAt === undefined)
        this.#change(target.metadata.name, { attempt: { ...attempt, phase: 'Rebooting' } });
      const isWaiting = attempt.phase === 'Fetching' || attempt.phase === 'Fetched';
      if (isWaiting)
        this.#change(target.metadata.name, { attempt: { ...attempt, phase: desired.go ? 'Testing' : 'Fetched' } });
      return;
    }
    const from = current?.closure;
    const begun: Attempt = {
      desiredId: desired.id,
      to: desired.closure,
      phase: 'Fetching',
      startedAt: this.#clock(target),
    };
    this.#change(target.metadata.name, { attempt: from === undefined ? begun : { ...begun, from } });
  }

  /** Ends the attempt in hand; one that was told to fetch only can't end well. */
  #end(target: NixMachine, fate: Fate): void {
    const { desired, attempt } = target.status ?? {};
    const isOpen = attempt !== undefined && attempt.finishedAt === undefined && attempt.desiredId === desired?.id;
    const isWaiting = attempt?.phase === 'RebootRequired';
    if (!isOpen || desired === undefined || !desired.go || isWaiting) return;
    const restarts = fate === 'RebootRequired' && (target.spec.activation?.reboot ?? 'Never') !== 'Never';
    // It waits for the word, or restarts by itself; only after that it has ended.
    if (restarts && attempt.phase !== 'Rebooting') {
      const next = { closure: desired.closure, revision: desired.closure.split('/')[0] ?? '' };
      this.#change(target.metadata.name, { attempt: { ...attempt, phase: 'RebootRequired' }, bootDefault: next });
      return;
    }
    this.#finish(target, attempt.phase === 'Rebooting' && fate === 'RebootRequired' ? 'Committed' : fate);
  }

  #finish(target: NixMachine, fate: Fate): void {
    const { desired, attempt, knownBad = [] } = target.status ?? {};
    if (desired === undefined || attempt === undefined) return;
    const { name } = target.metadata;
    const finished: Attempt = { ...attempt, phase: fate, finishedAt: this.#clock(target) };
    const revision = desired.closure.split('/')[0] ?? '';
    const current = { closure: desired.closure, revision };
    const isNew = target.status?.current?.closure !== current.closure;
    const since = isNew ? this.#time() : target.status?.current?.since;
    // As the hub writes it; without clocks nobody does.
    const seen = this.#clocks === undefined || since === undefined ? current : { ...current, since };
    if (fate === 'Committed') this.#change(name, { attempt: finished, current: seen, bootDefault: current });
    else if (fate === 'RebootRequired') this.#change(name, { attempt: finished, bootDefault: current });
    else if (fate === 'Unconfirmed') this.#change(name, { attempt: finished });
    else
      this.#change(name, {
        attempt: finished,
        knownBad: [desired.closure, ...knownBad.filter((bad) => bad !== desired.closure)],
      });
  }

  /** Now, as Floe writes it of machines. */
  #time(): string {
    const time = new Date(this.now).toISOString();
    return this.#clocks === undefined ? time : `${time.slice(0, 19)}Z`;
  }

  /** Now, by the clock of a machine. */
  #clock({ metadata }: NixMachine): string {
    const clocks = this.#clocks ?? [];
    const ahead = clocks[Number(metadata.name.slice(1)) % Math.max(1, clocks.length)] ?? 0;
    return new Date(this.now + ahead).toISOString();
  }
}

function withPolicy(target: NixMachine, reboot: RebootPolicy): NixMachine {
  return { ...target, spec: { ...target.spec, activation: { reboot } } };
}

function held(target: NixMachine, on: boolean): NixMachine {
  const { hold: _, ...spec } = target.spec;
  return { ...target, spec: on ? { ...spec, hold: { reason: 'leave me' } } : spec };
}

/** Whether a machine is online, not sick and has nothing in hand: told by other means than the planner's. */
export function isWell({ status }: NixMachine): boolean {
  const { connection, desired, attempt, current, failedUnits } = status ?? {};
  if (connection?.online !== true || (failedUnits ?? []).length > 0) return false;
  // Also one of an order that another has replaced since.
  const isOpen = attempt !== undefined && attempt.finishedAt === undefined;
  if (isOpen && (attempt.phase === 'Testing' || attempt.phase === 'Rebooting')) return false;
  if (desired?.go !== true) return true;
  if (attempt?.desiredId === desired.id && attempt.phase === 'RebootRequired') return desired.reboot !== true;
  if (attempt?.desiredId === desired.id) return attempt.finishedAt !== undefined;
  return current?.closure === desired.closure;
}
