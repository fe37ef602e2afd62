// A machine, its agent and its hub as one model: orders come, messages are lost, doubled and delayed, clocks jump, processes and power go.
import type { Journal } from '../journal/journal.ts';
import { EMPTY_JOURNAL, withAttempt } from '../journal/journal.ts';
import { isHandled, orderFault } from '../order.ts';
import { choose } from './choose.ts';
import { drive } from './drive.ts';
import { orderFor } from './model.fixture.ts';
import type { Confirmation, Done, Fetched, Health, RunOutcome, Seen } from './outcome.ts';
import type { AttemptPorts, Machine, Run } from './ports.ts';
import { type AttemptRecord, isDone, isReplaceable, isSameOrder, type Order } from './record.ts';

/** What happens to the world between two effects. */
export type Event =
  | { readonly kind: 'kill' | 'power' | 'deliver' | 'lose' | 'double' | 'delay' | 'nothing' }
  | { readonly kind: 'order'; readonly closure: 0 | 1 | 2; readonly change: Partial<Order> }
  | { readonly kind: 'leave' }
  | { readonly kind: 'jump'; readonly seconds: number };

const CLOSURES = ['a', 'b', 'c'].map((name, index) => `/nix/store/${String(index).repeat(32)}-${name}`) as [
  string,
  string,
  string,
];

class StruckError extends Error {}

export class Course implements Machine {
  readonly program: readonly string[] = ['agent'];
  readonly trace: string[] = [];
  violation: string | undefined;
  journal: Journal = EMPTY_JOURNAL;
  current: string = CLOSURES[0];
  profile: string = CLOSURES[0];
  bootDefault: string = CLOSURES[0];
  #boots = 1;
  #runs = new Map<string, RunOutcome>();
  #monotonicMs = 0;
  #wall = 0;
  #events: Event[];
  /** The hub's newest order, and messages on their way. */
  #desired: Order | undefined;
  #sequence = 0;
  #wire: Order[] = [];
  /** What the agent's process knows; gone with it. */
  #wanted: Order | undefined;
  /** Orders that the hub confirmed, and whether it did so for the last question of that attempt. */
  readonly #confirmed = new Set<string>();
  /** Attempts whose switch was begun and that are not over. */
  readonly #active = new Set<string>();
  #cancel = new AbortController();
  readonly #sick: ReadonlySet<string>;

  constructor(events: readonly Event[], sick: readonly number[]) {
    this.#events = [...events];
    this.#sick = new Set(sick.map((index) => CLOSURES[index] ?? ''));
  }

  /** One effect; before it the world moves on. */
  async #effect<T>(name: string, happen: () => T): Promise<T> {
    this.#move();
    this.trace.push(name);
    const result = happen();
    this.#check(name);
    return result;
  }

  #check(after: string): void {
    if (this.#active.size > 1) this.violation ??= `two attempts are active after ${after}`;
  }

  #move(): void {
    const event = this.#events.shift() ?? { kind: 'nothing' };
    if (event.kind !== 'nothing') this.trace.push(`[${event.kind}]`);
    switch (event.kind) {
      case 'order':
        this.#order(CLOSURES[event.closure], event.change);
        break;
      case 'leave':
        if (this.#desired !== undefined) this.#send({ ...this.#desired, sequence: ++this.#sequence, mayReboot: true });
        break;
      case 'deliver':
        this.#receive(this.#wire.shift());
        break;
      case 'lose':
        this.#wire.shift();
        break;
      case 'double':
        this.#wire.unshift(...this.#wire.slice(0, 1));
        break;
      case 'delay':
        this.#wire.push(...this.#wire.splice(0, 1));
        break;
      case 'jump':
        this.#wall += event.seconds * 1000;
        break;
      case 'kill':
        throw new StruckError();
      case 'power':
        this.#boot();
        throw new StruckError();
    }
  }

  #order(closure: string, change: Partial<Order>): void {
    const id = `order-${++this.#sequence}`;
    const order = orderFor({ mode: 'switch', confirm: 'hub' });
    this.#send({ ...order, id, sequence: this.#sequence, closure, reason: 'Retry', ...change });
  }

  #send(order: Order): void {
    this.#desired = order;
    this.#wire.push(order);
  }

  /** As the agent takes a message in. */
  #receive(order: Order | undefined): void {
    if (
      order === undefined ||
      orderFault(order, { journal: this.journal, last: this.#wanted, time: new Date(this.#wall).toISOString() }) !==
        undefined
    )
      return;
    this.#wanted = order;
    const last = this.journal.attempt;
    if (last !== undefined && isReplaceable(last) && !isSameOrder(last.order, order))
      this.#cancel.abort(new StruckError());
  }

  #boot(): void {
    this.current = this.bootDefault;
    this.#boots += 1;
    this.#runs.clear();
    // The clock of another boot begins anew.
    this.#monotonicMs = 0;
  }

  async see(): Promise<Seen> {
    const { current, profile, bootDefault } = this;
    return { current, profile, bootDefault: { closure: bootDefault, verified: true }, bootId: String(this.#boots) };
  }

  async failedUnits(): Promise<readonly string[]> {
    return [];
  }

  fetch(): Promise<Fetched> {
    return this.#effect('fetch', () => ({ kind: 'fetched' }));
  }

  async complaint(): Promise<string | undefined> {
    return undefined;
  }

  async keepWayBack(): Promise<void> {}

  async arm(): Promise<Done> {
    return { kind: 'ok' };
  }

  async disarm(): Promise<void> {}

  async run(run: Run): Promise<RunOutcome> {
    const before = this.#runs.get(run.name);
    if (before !== undefined) return before;
    return this.#effect(`${run.verb} ${run.closure.slice(-1)}`, () => {
      const last = this.journal.attempt;
      if (last !== undefined) this.#active.add(last.order.id);
      if (run.verb !== 'boot') this.current = run.closure;
      if (run.verb !== 'test') this.bootDefault = run.closure;
      const outcome: RunOutcome = { kind: 'exited', code: 0 };
      this.#runs.set(run.name, outcome);
      return outcome;
    });
  }

  async unfinished(): Promise<boolean> {
    return false;
  }

  setProfile(closure: string): Promise<Done> {
    return this.#effect('profile', () => {
      this.profile = closure;
      return { kind: 'ok' };
    });
  }

  restoreProfile(closure: string | undefined): Promise<Done> {
    return this.setProfile(closure ?? CLOSURES[0]);
  }

  checkHealth(): Promise<Health> {
    return this.#effect('health', () =>
      this.#sick.has(this.current)
        ? { kind: 'unhealthy', units: ['x.service'], message: 'x.service failed.' }
        : { kind: 'healthy' },
    );
  }

  reboot(): Promise<Done> {
    return this.#effect('reboot', () => {
      this.#boot();
      throw new StruckError();
    });
  }

  /** The hub confirms what is still desired; its answer may be lost, and one for another attempt counts for nothing. */
  #confirm(attempt: string, closure: string): Promise<Confirmation> {
    return this.#effect(`confirm ${attempt}`, () => {
      const desired = this.#desired;
      if (desired?.id !== attempt || desired.closure !== closure) return { kind: 'denied', message: 'Superseded.' };
      this.#confirmed.add(attempt);
      return { kind: 'confirmed' };
    });
  }

  #ports(): AttemptPorts {
    return {
      machine: this,
      hub: { confirm: (attempt, closure) => this.#confirm(attempt, closure) },
      clock: {
        now: () => ({ time: new Date(this.#wall).toISOString(), monotonicMs: this.#monotonicMs++ }),
        sleep: async (milliseconds) => {
          this.#monotonicMs += milliseconds;
        },
      },
      awaitGo: async (order) => order,
      awaitReboot: async (order) => {
        for (;;) {
          const wanted = this.#wanted;
          if (wanted !== undefined && !isSameOrder(wanted, order)) return undefined;
          if (wanted?.mayReboot === true) return wanted;
          await this.#effect('wait', () => this.#settle());
        }
      },
      note: () => undefined,
      save: (record) => this.#effect(`save ${record.step}`, () => this.#save(record)),
    };
  }

  #save(record: AttemptRecord): void {
    this.journal = withAttempt(this.journal, record);
    if (!isDone(record)) return;
    this.#active.delete(record.order.id);
    const { order, phase } = record;
    // What ran already when the order came was not brought by it.
    const brought = record.systemTouched || record.rebootOnly || record.cameUp === true;
    if (phase === 'Committed' && brought && order.confirm === 'hub' && !this.#confirmed.has(order.id)) {
      this.violation ??= `${order.id} is committed, and was never confirmed`;
    }
  }

  /** Nothing is left to happen: the connection stands, and people give leave to restart. */
  #settle(): void {
    if (this.#events.length > 0) return;
    if (this.#desired !== undefined && this.#desired.mayReboot !== true) {
      this.#send({ ...this.#desired, sequence: ++this.#sequence, mayReboot: true });
    }
    this.#receive(this.#desired);
  }

  async #once(): Promise<boolean> {
    const wanted = this.#wanted;
    const choice = choose({
      journal: this.journal,
      wanted,
      handled: wanted !== undefined && isHandled(wanted, this.journal),
      canReboot: true,
      seen: await this.see(),
      time: 'now',
    });
    this.#cancel = new AbortController();
    switch (choice.kind) {
      case 'carry-on':
        await drive(choice.record, this.#ports(), this.#cancel.signal);
        return true;
      case 'drop':
        this.#save(choice.record);
        return true;
      case 'accept':
        this.journal = { ...this.journal, sequence: choice.sequence };
        return true;
      case 'nothing':
        this.#move();
        return this.#wanted !== wanted;
    }
  }

  /** One turn of the agent's process; what strikes it takes what it knew, an order that replaces another does not. */
  async #process(): Promise<boolean> {
    try {
      return await this.#once();
    } catch (error: unknown) {
      if (!(error instanceof StruckError)) throw error;
      if (error !== this.#cancel.signal.reason) this.#wanted = undefined;
      return true;
    }
  }

  /** Lives until nothing happens any more; returns the attempt of the hub's last order. */
  async live(): Promise<{ readonly desired: Order | undefined; readonly last: AttemptRecord | undefined }> {
    for (let rounds = 0; rounds < 400 && this.violation === undefined; rounds++) {
      const busy = await this.#process();
      if (!busy && this.#events.length === 0) {
        if (this.#wanted === this.#desired) return { desired: this.#desired, last: this.journal.attempt };
        this.#receive(this.#desired);
      }
    }
    throw new Error(this.violation ?? `no end was reached: ${this.trace.join(', ')}`);
  }
}
