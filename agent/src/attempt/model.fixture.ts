// A model of a machine for tests: effects happen one by one, and the power or the agent may go between any two.

import { Disk, DiskCutError } from '../journal/disk.fixture.ts';
import { JournalFile, withAttempt } from '../journal/journal.ts';
import { drive } from './drive.ts';
import type { Confirmation, Done, Fetched, Health, RunOutcome, Seen } from './outcome.ts';
import { overdue, rescued } from './overdue.ts';
import { type AttemptPorts, type DeadMan, HandOverError, type Machine, type Run } from './ports.ts';
import { type AttemptRecord, isDone, newAttempt, type Order } from './record.ts';
import { resume } from './resume.ts';

export const OLD = '/nix/store/00000000000000000000000000000000-old';
export const NEW = '/nix/store/11111111111111111111111111111111-new';

export type Fault = { readonly after: number; readonly kind: 'kill' | 'power' };

export type Script = {
  readonly mode: Order['mode'];
  readonly confirm: Order['confirm'];
  readonly fetched: Fetched['kind'];
  /** How the `test` runs of the new closure end, the last one over and over. */
  readonly test: readonly RunOutcome[];
  readonly boot: RunOutcome;
  /** How `test` of the old closure ends, which always makes it the running one; default 0. */
  readonly back?: RunOutcome;
  readonly healthy: boolean;
  readonly hub: Confirmation['kind'];
  /** There is systemd: the new closure's agent takes over. */
  readonly handsOver: boolean;
  readonly newAgentStarts: boolean;
  readonly faults: readonly Fault[];
  /** Default Never. */
  readonly policy?: 'Never' | 'WhenRequired' | 'InWindow';
  /** The running system forbids the switch. */
  readonly inhibited?: boolean;
  /** Default true; else the boot loader falls back to the old closure. */
  readonly kernelComesUp?: boolean;
  /** Nothing can be written to /boot: `boot` of any closure ends with 1 and changes nothing. */
  readonly bootReadOnly?: boolean;
  /** Another order comes while it waits for leave to restart. */
  readonly superseded?: boolean;
};

/** As switch-to-configuration ends where logind does not answer: it has activated, and units wait in its lists. */
export const LOGIND_SILENT: RunOutcome = {
  kind: 'exited',
  code: 11,
  said: 'Unable to list users with logind: Did not receive a reply.',
  began: true,
};
/** As it ends where another one holds its lock. */
export const LOCK_TAKEN: RunOutcome = { kind: 'exited', code: 11, said: 'Could not acquire lock' };

/** Whether a run gave up with units in its lists. */
function leavesLists(outcome: RunOutcome): boolean {
  return outcome.kind === 'exited' && outcome.began === true && ![0, 2, 4].includes(outcome.code);
}
/** What a run of `boot` says where /boot can't be written. */
export const READ_ONLY = 'Failed to install bootloader';

class KilledError extends Error {}
class PowerCutError extends Error {}
class HandedOverError extends Error {}

/** A disk under the journal: the power goes at these of its operations, and of what was not synced each name may stay or not. */
export type UnderJournal = { readonly cuts: readonly number[]; readonly kept: readonly boolean[] };

/** The order of the script. */
export function orderFor({ mode, confirm, policy }: Pick<Script, 'mode' | 'confirm' | 'policy'>): Order {
  return {
    id: 'order-1',
    closure: NEW,
    origin: 'hub',
    sequence: 7,
    go: true,
    mode,
    confirm,
    switchTimeoutSeconds: 10,
    confirmTimeoutSeconds: 10,
    healthChecks: [],
    substituters: [],
    ...(policy === undefined || policy === 'Never' ? {} : { rebootPolicy: policy, mayReboot: true }),
  };
}

export class Model implements Machine {
  readonly program: readonly string[] = ['agent'];
  readonly trace: string[] = [];
  current = OLD;
  profile = OLD;
  bootDefault = OLD;
  boots = 1;
  confirmed = false;
  /** Something broke a rule; the first one is kept. */
  violation: string | undefined;
  journal: AttemptRecord | undefined;
  readonly timers = new Set<number>();
  #runs = new Map<string, RunOutcome>();
  #tests = 0;
  /** switch-to-configuration left lists. */
  #unfinished = false;
  #effects = 0;
  #time = 0;
  #faults: Fault[];
  readonly #script: Script;
  handOver?: (signal: AbortSignal) => Promise<never>;

  readonly #disk = new Disk();
  readonly #file = new JournalFile(this.#disk, '/state');
  readonly #under: UnderJournal | undefined;
  #cuts: number[] = [];
  /** Names on the disk at the last cut. */
  #lots = 0;

  constructor(script: Script, under?: UnderJournal) {
    this.#under = under;
    this.#cuts = [...(under?.cuts ?? [])].sort((one, other) => one - other);
    this.#nextCut();
    this.#script = script;
    this.#faults = [...script.faults].sort((one, other) => one.after - other.after);
    if (script.handsOver) {
      this.handOver = async () => {
        await this.#effect('hand over', () => undefined);
        throw new HandedOverError();
      };
    }
  }

  /** One effect on the world; a fault may strike before or after it. */
  async #effect<T>(name: string, happen: () => T): Promise<T> {
    this.#strike();
    this.trace.push(name);
    const result = happen();
    this.#check(name);
    this.#strike();
    return result;
  }

  #strike(): void {
    this.#effects += 1;
    const [fault] = this.#faults;
    if (fault === undefined || fault.after > this.#effects) return;
    this.#faults.shift();
    this.trace.push(fault.kind);
    if (fault.kind === 'kill') throw new KilledError();
    this.#boot();
    throw new PowerCutError();
  }

  #boot(): void {
    this.current = this.#script.kernelComesUp === false ? OLD : this.bootDefault;
    this.boots += 1;
    this.timers.clear();
    this.#runs.clear();
  }

  async inhibitors(): Promise<readonly string[]> {
    return this.#script.inhibited === true ? ['dbus-implementation'] : [];
  }

  reboot(): Promise<Done> {
    return this.#effect('reboot', () => {
      this.#boot();
      throw new PowerCutError();
    });
  }

  #check(after: string): void {
    const { confirm, policy = 'Never' } = this.#script;
    // An attempt that goes on after its reboot is confirmed after it.
    const open = policy !== 'Never' && this.journal?.step !== 'done';
    const needsConfirmation = confirm === 'hub' && !open;
    if (this.bootDefault === NEW && needsConfirmation && !this.confirmed)
      this.violation ??= `boots NEW unconfirmed after ${after}`;
  }

  async see(): Promise<Seen> {
    const { current, profile, bootDefault } = this;
    return {
      current,
      booted: current,
      profile,
      bootDefault: { closure: bootDefault, verified: true },
      bootId: String(this.boots),
    };
  }

  async failedUnits(): Promise<readonly string[]> {
    return [];
  }

  fetch(): Promise<Fetched> {
    const kind = this.#script.fetched;
    return this.#effect('fetch', () => (kind === 'fetched' ? { kind } : { kind, message: 'no' }));
  }

  async complaint(): Promise<string | undefined> {
    return undefined;
  }

  async keepWayBack(): Promise<void> {}

  arm(timer: DeadMan): Promise<Done> {
    return this.#effect(`arm ${timer.number}`, () => {
      for (const one of this.timers) if (one < timer.number) this.timers.delete(one);
      this.timers.add(timer.number);
      return { kind: 'ok' };
    });
  }

  disarm(_attempt: string, number: number): Promise<void> {
    return this.#effect('disarm', () => {
      for (const one of this.timers) if (one <= number) this.timers.delete(one);
    });
  }

  async run(run: Run): Promise<RunOutcome> {
    const before = this.#runs.get(run.name);
    if (before !== undefined) return before;
    // Its own unit carries it out to the end, whatever becomes of the agent; only the power ends it.
    return this.#effect(`${run.verb} ${run.closure === NEW ? 'NEW' : 'OLD'}`, () => {
      const outcome = this.#carryOut(run);
      this.#runs.set(run.name, outcome);
      return outcome;
    });
  }

  #carryOut({ verb, closure }: Run): RunOutcome {
    if (verb === 'boot' && this.#script.bootReadOnly === true) return { kind: 'exited', code: 1, said: READ_ONLY };
    if (closure === OLD) {
      if (verb === 'boot') {
        this.bootDefault = OLD;
        return { kind: 'exited', code: 0 };
      }
      this.current = OLD;
      const { back = { kind: 'exited', code: 0 } } = this.#script;
      this.#unfinished = leavesLists(back);
      return back;
    }
    if (verb === 'boot') {
      if (this.#script.boot.kind === 'exited' && this.#script.boot.code === 0) this.bootDefault = NEW;
      return this.#script.boot;
    }
    const { test } = this.#script;
    const outcome = test[Math.min(this.#tests, test.length - 1)] ?? { kind: 'lost' };
    this.#tests += 1;
    const began = outcome.kind === 'exited' && outcome.began === true;
    const changedNothing = outcome.kind === 'exited' && [1, 11, 100].includes(outcome.code) && !began;
    if (changedNothing || outcome.kind === 'not-started') return outcome;
    this.current = NEW;
    this.#unfinished = leavesLists(outcome);
    return outcome;
  }

  async unfinished(): Promise<boolean> {
    return this.#unfinished;
  }

  setProfile(closure: string): Promise<Done> {
    return this.#effect('set profile', () => {
      this.profile = closure;
      return { kind: 'ok' };
    });
  }

  restoreProfile(closure: string | undefined): Promise<Done> {
    return this.setProfile(closure ?? OLD);
  }

  async checkHealth(): Promise<Health> {
    const good = this.#script.healthy;
    return this.#effect('check health', () =>
      good ? { kind: 'healthy' } : { kind: 'unhealthy', units: ['x.service'], message: 'bad' },
    );
  }

  #ports(): AttemptPorts {
    return {
      machine: this,
      hub: {
        confirm: () =>
          this.#effect('confirm', () => {
            const kind = this.#script.hub;
            if (kind === 'confirmed') this.confirmed = true;
            return kind === 'confirmed' ? { kind } : { kind, message: 'no' };
          }),
      },
      clock: {
        now: () => ({ time: new Date(this.#time).toISOString(), monotonicMs: this.#time++ }),
        sleep: async (milliseconds) => {
          this.#time += milliseconds;
        },
      },
      awaitGo: async (order) => order,
      awaitReboot: async (order) => (this.#script.superseded === true ? undefined : order),
      note: () => undefined,
      save: async (record) => {
        if (this.#under !== undefined) await this.#write(record, this.#under);
        await this.#effect(`save ${record.step}`, () => {
          this.journal = record;
        });
      },
    };
  }

  #nextCut(): void {
    const after = this.#cuts.shift();
    this.#disk.cutAt = after === undefined ? Number.POSITIVE_INFINITY : this.#disk.operations + 1 + after;
  }

  /** Writes the journal to the disk; where the power goes meanwhile, what the disk kept is all that is known afterwards. */
  async #write(record: AttemptRecord, { kept }: UnderJournal): Promise<void> {
    try {
      await this.#file.save(withAttempt((await this.#file.load()).journal, record));
      this.journal = record;
    } catch (error: unknown) {
      if (!(error instanceof DiskCutError)) throw error;
      this.trace.push(`power in save ${record.step}`);
      this.#disk.reboot(() => kept[this.#lots++ % Math.max(1, kept.length)] ?? true);
      this.#nextCut();
      this.#boot();
      const last = this.journal;
      this.journal = (await this.#file.load()).journal.attempt;
      if (last !== undefined && this.journal?.step !== last.step && this.journal?.step !== record.step) {
        this.violation ??= `the journal lost step ${last.step} to ${this.journal?.step}`;
      }
      throw new PowerCutError();
    }
  }

  /** The agent, or the rescue, until it ends or is struck down. */
  async #process(start: AttemptRecord): Promise<void> {
    try {
      await drive(start, this.#ports(), new AbortController().signal);
    } catch (error: unknown) {
      const expected =
        error instanceof KilledError || error instanceof PowerCutError || error instanceof HandedOverError;
      if (!expected && !(error instanceof HandOverError)) throw error;
    }
  }

  /** Lives through the whole script and returns the last record. */
  async live(): Promise<AttemptRecord> {
    for (let processes = 0; processes < 60; processes++) {
      const last = this.journal;
      if (last !== undefined && isDone(last)) return resume(last, await this.see());
      const agentStarts = this.current !== NEW || this.#script.newAgentStarts;
      if (agentStarts) {
        await this.#process(
          last === undefined ? newAttempt(orderFor(this.#script), 'then') : resume(last, await this.see()),
        );
      } else {
        await this.#rescue();
      }
      if (this.violation !== undefined) break;
    }
    throw new Error(this.violation ?? `no end was reached: ${this.trace.join(', ')}`);
  }

  /** No agent runs, so whatever timer is armed goes off. */
  async #rescue(): Promise<void> {
    for (const number of this.timers) {
      this.timers.delete(number);
      const record = overdue(this.journal, { attempt: 'order-1', timer: number });
      if (record === undefined) continue;
      this.trace.push(`rescue by timer ${number}`);
      await this.#process(rescued(record));
      // Its unit is started again where it was struck down.
      if (this.journal !== undefined && !isDone(this.journal)) this.timers.add(number);
      return;
    }
    this.violation ??= `nothing brings the old closure back at step ${this.journal?.step}`;
  }
}
