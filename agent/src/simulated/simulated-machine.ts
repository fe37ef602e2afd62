// A machine that exists in memory only: what it does when it is told a closure is a script.
import { setTimeout as sleep } from 'node:timers/promises';
import type { WatchedMachine } from '../agent.ts';
import type { Done, Fetched, Health, RunOutcome, Seen } from '../attempt/outcome.ts';
import type { DeadMan, Run } from '../attempt/ports.ts';
import type { Order } from '../attempt/record.ts';
import { StaleJournalError } from '../journal/ledger.ts';

/** What a simulated machine makes of a closure. Times are in milliseconds. */
export type Behaviour = {
  readonly fetchMs: number;
  readonly switchMs: number;
  readonly healthMs: number;
  /** Default: fetched. */
  readonly fetched?: Fetched;
  /** Exit code of `test`, default 0. */
  readonly testExitCode?: number;
  /** Exit code of `boot`, default 0. */
  readonly bootExitCode?: number;
  /** Default: healthy. */
  readonly health?: Health;
  /** A unit fails so long after the closure was kept; default: none does. */
  readonly turnsBadMs?: number;
};

export type SimulatedMachineOptions = {
  /** Closure that it runs at first. */
  readonly closure: string;
  readonly behaviour: (closure: string) => Behaviour;
  /** Whether it can be restarted; default false. */
  readonly reboots?: boolean;
};

export class SimulatedMachine implements WatchedMachine {
  readonly program: readonly string[] = ['simulated'];
  readonly #behaviour: (closure: string) => Behaviour;
  readonly #runs = new Map<string, RunOutcome>();
  readonly #watchers = new Set<() => void>();
  #failed: readonly string[] = [];
  current: string;
  profile: string;
  bootDefault: string;
  booted: string;
  bootId = 'boot-1';
  reboot?: () => Promise<Done>;

  constructor({ closure, behaviour, reboots = false }: SimulatedMachineOptions) {
    this.#behaviour = behaviour;
    this.current = closure;
    this.profile = closure;
    this.bootDefault = closure;
    this.booted = closure;
    if (reboots) this.reboot = () => this.#restart();
  }

  /** Boots what the boot entry names; its agent then reads the journal, as one that has just started. */
  async #restart(): Promise<Done> {
    this.current = this.bootDefault;
    this.booted = this.bootDefault;
    this.bootId = `boot-${Number(this.bootId.slice('boot-'.length)) + 1}`;
    this.#runs.clear();
    throw new StaleJournalError('the machine was restarted');
  }

  async see(): Promise<Seen> {
    const { current, booted, profile, bootId, bootDefault } = this;
    return { current, booted, profile, bootId, bootDefault: { closure: bootDefault, verified: true } };
  }

  async failedUnits(): Promise<readonly string[]> {
    return this.#failed;
  }

  watch(changed: () => void): { close(): void } {
    this.#watchers.add(changed);
    return { close: () => this.#watchers.delete(changed) };
  }

  /** Units that fail from now on. */
  #turn(units: readonly string[]): void {
    this.#failed = units;
    for (const changed of this.#watchers) changed();
  }

  async fetch(order: Order, _note: unknown, signal: AbortSignal): Promise<Fetched> {
    const { fetchMs, fetched } = this.#behaviour(order.closure);
    await sleep(fetchMs, undefined, { signal });
    return fetched ?? { kind: 'fetched' };
  }

  async complaint(): Promise<string | undefined> {
    return undefined;
  }

  async keepWayBack(): Promise<void> {}

  async arm(_timer: DeadMan): Promise<Done> {
    return { kind: 'ok' };
  }

  async disarm(): Promise<void> {}

  async run(run: Run, signal: AbortSignal): Promise<RunOutcome> {
    const before = this.#runs.get(run.name);
    if (before !== undefined) return before;
    const { switchMs, testExitCode = 0, bootExitCode = 0, turnsBadMs } = this.#behaviour(run.closure);
    await sleep(switchMs, undefined, { signal });
    const code = run.verb === 'boot' ? bootExitCode : testExitCode;
    if (run.verb !== 'boot' && code !== 1 && code !== 100) this.current = run.closure;
    if (run.verb !== 'test' && code === 0) this.bootDefault = run.closure;
    if (run.verb !== 'boot') this.#failed = [];
    if (run.verb !== 'test' && code === 0 && turnsBadMs !== undefined) {
      setTimeout(() => this.#turn(['simulated.service']), turnsBadMs).unref();
    }
    const outcome: RunOutcome = { kind: 'exited', code };
    this.#runs.set(run.name, outcome);
    return outcome;
  }

  async unfinished(): Promise<boolean> {
    return false;
  }

  async setProfile(closure: string): Promise<Done> {
    this.profile = closure;
    return { kind: 'ok' };
  }

  async restoreProfile(closure: string | undefined): Promise<Done> {
    return this.setProfile(closure ?? this.current);
  }

  async checkHealth(_question: unknown, signal: AbortSignal): Promise<Health> {
    const { healthMs, health } = this.#behaviour(this.current);
    await sleep(healthMs, undefined, { signal });
    return health ?? { kind: 'healthy' };
  }

  async rebootReasons(): Promise<readonly string[]> {
    return [];
  }

  async facts(): Promise<Readonly<Record<string, string>>> {
    return { system: 'x86_64-linux', simulated: 'true' };
  }

  async finished(): Promise<void> {
    this.#runs.clear();
  }
}
