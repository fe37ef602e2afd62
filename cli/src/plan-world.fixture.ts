// A fleet as somebody outside sees it who has `floe plan` and the pages of the API: asks, writes what it says, and asks again.
import { planCommand } from './plan-command.ts';
import type { PrintedPlan } from './printed-plan.ts';

type Machine = {
  metadata: { name: string; namespace: string; labels: Record<string, string>; creationTimestamp: string };
  spec: Record<string, unknown>;
  status: Record<string, unknown>;
};
type Order = { id: string; closure: string; go: boolean };
type Attempt = { desiredId: string; phase: string; finishedAt?: string };

const API = 'floe.dev/v1alpha1';

export type WorldOptions = {
  readonly machines?: number;
  readonly spec?: object;
  /** RFC 3339; default noon of 2026-03-02, a Monday. */
  readonly now?: string;
  readonly labels?: (index: number) => Record<string, string>;
  /** More of each machine's spec. */
  readonly machine?: object;
};

export class World {
  now: number;
  spec: object;
  revision = 'r1';
  annotations: Record<string, string> = {};
  machines: Machine[];
  /** Further objects of the namespace. */
  others: object[] = [];
  status: PrintedPlan['status'] = {};
  /** Machines without a closure in the revision; names a record is made for. */
  readonly notBuilt = new Set<string>();
  #orders = 0;

  /** `m1 … mN` on r1, which is stable; r2 has just been built. */
  static async settled(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.plan();
    world.wait(1);
    world.revision = 'r2';
    world.spec = options.spec ?? {};
    return world;
  }

  private constructor({ machines = 4, now = '2026-03-02T12:00:00Z', labels, machine = {} }: WorldOptions) {
    this.now = Date.parse(now) - 1000;
    this.spec = {};
    this.machines = Array.from({ length: machines }, (_, i) => this.#machine(`m${i + 1}`, labels?.(i) ?? {}, machine));
  }

  #machine(name: string, labels: Record<string, string>, spec: object): Machine {
    const current = { closure: `r1/${name}`, revision: 'r1' };
    return {
      metadata: { name, namespace: 'shop', labels, creationTimestamp: this.time(-60) },
      spec: { configRef: { name: 'web' }, ...spec },
      status: { connection: { online: true, since: this.time(-3600) }, current, bootDefault: current, failedUnits: [] },
    };
  }

  /** RFC 3339 of so many seconds from now. */
  time(seconds = 0): string {
    return new Date(this.now + seconds * 1000).toISOString();
  }

  /** What `floe plan` prints; its status is kept for the next time. */
  async plan(): Promise<PrintedPlan> {
    const head = { apiVersion: API, kind: 'Rollout' };
    const metadata = {
      name: 'web',
      namespace: 'shop',
      annotations: this.annotations,
      creationTimestamp: '2026-01-02T00:00:00Z',
    };
    const objects = [
      { ...head, metadata, spec: { configRef: { name: 'web' }, ...this.spec }, status: this.status },
      {
        apiVersion: API,
        kind: 'NixConfig',
        metadata: { name: 'web', namespace: 'shop' },
        spec: { source: { flake: 'github:acme/fleet' } },
        status: { revision: { id: this.revision, source: 'main', builtAt: '2026-03-01T00:00:00Z' } },
      },
      ...this.machines.map((machine) => ({ apiVersion: API, kind: 'NixMachine', ...machine })),
      ...this.others,
    ];
    const printed = await planCommand(['-f', '-', '--rollout', 'web', '--now', this.time()], {
      read: async () => JSON.stringify(objects),
      now: new Date(0),
    });
    this.status = JSON.parse(JSON.stringify(printed.status));
    return printed;
  }

  /** Plans, and tells the machines what the plan says. */
  async tell(): Promise<PrintedPlan> {
    const planned = await this.plan();
    for (const { machine, closure } of [...planned.dispatch, ...planned.rollback]) this.#order(machine, closure, true);
    for (const { machine, closure } of planned.fetch) this.#order(machine, closure, false);
    return planned;
  }

  /** Plans, tells, and lets all that were told end well, until nobody is told any more; what each round told. */
  async course(rounds = 20): Promise<string[][]> {
    const told: string[][] = [];
    for (let round = 0; round < rounds; round++) {
      const { dispatch, rollback } = await this.tell();
      if (dispatch.length + rollback.length === 0) break;
      told.push(names([...dispatch, ...rollback]));
      this.end();
    }
    return told;
  }

  #order(name: string, closure: string, go: boolean): void {
    const { status } = this.of(name);
    const before = status['desired'] as Order | undefined;
    const follows = go && before?.go === false && before.closure === closure;
    const id = follows ? before.id : `order-${++this.#orders}`;
    status['desired'] = {
      id,
      sequence: this.#orders,
      revision: closure.split('/')[0],
      closure,
      rollout: 'web',
      run: this.status.run,
      reason: 'Rollout',
      go,
      since: this.time(),
    };
  }

  of(name: string): Machine {
    const found = this.machines.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  /** Who has a go and has not ended it. */
  get inHand(): string[] {
    const isOpen = ({ status }: Machine) => {
      const [desired, attempt] = [status['desired'] as Order | undefined, status['attempt'] as Attempt | undefined];
      return desired?.go === true && !(attempt?.desiredId === desired.id && attempt.finishedAt !== undefined);
    };
    return this.machines.filter(isOpen).map(({ metadata }) => metadata.name);
  }

  /** What was told ends in a phase, on these machines or on all that are in hand. */
  end(phase = 'Committed', who: readonly string[] = this.inHand): void {
    for (const name of who) {
      const { status } = this.of(name);
      const { id, closure } = status['desired'] as Order;
      const at = { startedAt: this.time(), finishedAt: this.time() };
      const from = (status['current'] as { closure: string }).closure;
      status['attempt'] = { desiredId: id, to: closure, from, phase, message: `ended ${phase}`, ...at };
      const next = { closure, revision: closure.split('/')[0] };
      if (phase === 'Committed') status['current'] = next;
      if (phase === 'Committed' || phase === 'RebootRequired') status['bootDefault'] = next;
      if (phase === 'RolledBack' || phase === 'Failed') status['knownBad'] = [closure];
    }
  }

  /** What was told to fetch is there. */
  fetched(who: readonly string[]): void {
    for (const name of who) {
      const { status } = this.of(name);
      const { id, closure } = status['desired'] as Order;
      status['attempt'] = { desiredId: id, to: closure, phase: 'Fetched', startedAt: this.time() };
    }
  }

  connect(name: string, online: boolean): void {
    this.of(name).status['connection'] = { online, since: this.time() };
  }

  health(name: string, well: boolean): void {
    const condition = { type: 'Healthy', status: well ? 'True' : 'False', reason: 'X', message: 'x' };
    this.of(name).status['conditions'] = [{ ...condition, lastTransitionTime: this.time() }];
    this.of(name).status['failedUnits'] = well ? [] : ['x.service'];
  }

  join(name: string, labels: Record<string, string> = {}): void {
    const made = this.#machine(name, labels, {});
    made.metadata.creationTimestamp = this.time();
    this.machines.push(made);
  }

  wait(seconds: number): void {
    this.now += seconds * 1000;
  }

  /** A person orders something a second later. */
  verb(verb: string, value = `v${this.#orders}-${this.now}`): void {
    this.wait(1);
    this.annotations = { ...this.annotations, [`floe.dev/${verb}`]: value };
  }
}

/** Names in a list of a plan, sorted. */
export function names(list: readonly { readonly machine: string }[]): string[] {
  return list.map(({ machine }) => machine).sort();
}

/** Reasons in use among the holds, sorted. */
export function reasons({ hold }: PrintedPlan): string[] {
  return [...new Set(hold.map(({ reason }) => reason))].sort();
}
