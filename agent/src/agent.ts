// The agent: takes orders from the hub, carries them out one at a time, and reports what the machine is.
import type { DesiredMessage, MachineState } from '@floe/crds/protocol';
import { choose, type Situation } from './attempt/choose.ts';
import { drive } from './attempt/drive.ts';
import { reopened } from './attempt/known-bad.ts';
import type { Seen } from './attempt/outcome.ts';
import { type AttemptPorts, type Clock, HandOverError, type HubConfirmer, type Machine } from './attempt/ports.ts';
import {
  type AttemptRecord,
  isDone,
  isFor,
  isReplaceable,
  isResting,
  isSameOrder,
  newAttempt,
  type Order,
} from './attempt/record.ts';
import { resume } from './attempt/resume.ts';
import { Bell, heard } from './bell.ts';
import type { Caller } from './hub/connect.ts';
import { Reporter } from './hub/reporter.ts';
import { runSession } from './hub/session.ts';
import { type Ledger, StaleJournalError } from './journal/ledger.ts';
import type { Log } from './log.ts';
import { isHandled, orderFault, orderOf } from './order.ts';
import type { PeoplePart, Question, SecretsPart } from './parts.ts';
import { Rest } from './rest.ts';
import { closureAfterReboot, machineState, type Reading } from './state.ts';
import type { TruthKeeper } from './truth/keeper.ts';
import { watchMachine } from './watch-machine.ts';

/** The machine as the agent sees it between attempts, too. */
export interface WatchedMachine extends Machine {
  rebootReasons(booted: string | undefined, wanted: string | undefined): Promise<readonly string[]>;
  facts(current: string | undefined): Promise<Readonly<Record<string, string>>>;
  /** Store path of the agent that a system starts. */
  agentOf?(system: string | undefined): Promise<string | undefined>;
  /** Told what the machine is between attempts. */
  settled?(seen: Seen): Promise<void>;
  /** Whether a kernel that does not come up falls back without anyone. */
  hasFallback?(): Promise<boolean>;
  /** Whether the next boot starts something else than what runs. */
  undoes?(seen: Seen): Promise<boolean>;
  /** Told when an attempt is over. A service restarts itself after a roll-back, so that the old closure's agent runs. */
  finished?(record: AttemptRecord): Promise<void>;
  /** Told once when nothing was in hand for a while, and again after the next attempt. */
  rested?(): Promise<void>;
  /** Calls back when something on the machine changes that a look would tell. Absent: it must be looked at often. */
  watch?(changed: () => void): { close(): void };
}

export type AgentParts = {
  readonly machine: WatchedMachine;
  readonly hub: HubConfirmer;
  /** Who dials the hub; read anew for each connection, since a switch may change the configuration. */
  readonly caller: () => Promise<Caller>;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  readonly secrets?: SecretsPart;
  readonly people?: PeoplePart;
  /** What was kept last, and whether something else changed it. Absent: nobody else can. */
  readonly truth?: TruthKeeper;
  /** Seconds between looks at the machine; default 300 where it tells of changes by itself, else 10. */
  readonly watchSeconds?: number;
  readonly random?: () => number;
};

/** The attempt that is being carried out. */
type InHand = {
  readonly order: Order;
  record: AttemptRecord;
  readonly cancel: AbortController;
  /** What delays it. */
  note: string | undefined;
};

/** Between two tries of something that failed unexpectedly. */
const RETRY_MS = 5_000;

export class Agent {
  readonly #parts: AgentParts;
  readonly #reporter = new Reporter();
  readonly #rest: Rest;
  /** The hub's newest order that was accepted. */
  #wanted: Order | undefined;
  /** The order that was refused last, where none was accepted since. */
  #refused: MachineState['refused'];
  /** What the hub wants the people to be asked about the order. */
  #question: Question | undefined;
  #current: InHand | undefined;
  #reading: Reading | undefined;
  /** Rung when there may be something else to do. */
  readonly #bell = new Bell();

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#rest = new Rest(parts);
  }

  /** Runs until the signal aborts. An attempt in hand stops between two steps; the journal says where to go on. */
  async run(signal: AbortSignal): Promise<void> {
    const { ledger, machine, log, clock, caller, random, secrets, people, truth, watchSeconds } = this.#parts;
    const tell = () => {
      this.#look(signal).catch((error: unknown) => log.warn(String(error)));
    };
    secrets?.onChange(tell);
    people?.onChange(tell);
    await ledger.refresh();
    if (ledger.damage !== undefined) log.error(`the journal was damaged: ${ledger.damage}`);
    await this.#settleReboot(signal);
    await this.#look(signal);
    const reporter = this.#reporter;
    const onDesired = (message: DesiredMessage) => this.#onDesired(message);
    await Promise.all([
      runSession(
        {
          caller,
          reporter,
          onDesired,
          clock,
          log,
          ...(random === undefined ? {} : { random }),
          ...(secrets === undefined ? {} : { secrets }),
        },
        signal,
      ),
      this.#work(signal),
      watchMachine(
        { machine, clock, log, watchSeconds, isUnsettled: () => truth?.unsettled === true },
        () => this.#tick(signal),
        signal,
      ),
    ]);
  }

  /** A closure that waited for its boot may have got it. */
  async #settleReboot(signal: AbortSignal): Promise<void> {
    const { ledger, machine } = this.#parts;
    const last = ledger.journal.attempt;
    if (last === undefined || !isDone(last)) return;
    const settled = resume(last, await machine.see());
    if (settled === last) return;
    await ledger.write(settled, signal);
    ledger.release();
  }

  #onDesired(message: DesiredMessage): void {
    const order = orderOf(message);
    const { ledger, clock, log } = this.#parts;
    const fault = orderFault(order, { journal: ledger.journal, last: this.#wanted, time: clock.now().time });
    if (fault !== undefined) {
      log.warn(`order ${order.id} is refused: ${fault}`);
      // One that is late, of an order that was accepted meanwhile, is of no concern to anyone.
      if (this.#wanted?.id === order.id) return;
      this.#refused = { id: order.id, message: fault.slice(0, 512) };
      this.#bell.ring();
      return;
    }
    this.#wanted = order;
    this.#refused = undefined;
    const { id, closure, go, consent } = message;
    this.#question = go || consent === undefined ? undefined : { id, closure, until: consent.until };
    if (this.#question === undefined) this.#parts.people?.ask(undefined);
    this.#parts.truth?.setPolicy(message.drift ?? 'Report').then(
      () => this.#bell.ring(),
      (error: unknown) => this.#parts.log.warn(`what to do about drift can't be noted: ${error}`),
    );
    const current = this.#current;
    if (current !== undefined && isReplaceable(current.record) && !isSameOrder(current.order, order)) {
      current.cancel.abort(new Error(`order ${order.id} replaces it`));
    }
    this.#bell.ring();
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { ledger, log, clock } = this.#parts;
    while (!signal.aborted) {
      const ring = this.#bell.next;
      try {
        const record = await this.#nextAttempt(signal);
        if (record === undefined) {
          ledger.release();
          // While the lock was waited for, another process may have ended an attempt.
          await this.#look(signal);
          this.#rest.begin(signal);
          await heard(ring, signal);
        } else {
          await this.#carryOut(record, signal);
        }
      } catch (error: unknown) {
        if (signal.aborted) break;
        if (error instanceof HandOverError) throw error;
        if (error instanceof StaleJournalError) continue;
        log.error(`${error instanceof Error ? error.message : error}; trying again in ${RETRY_MS / 1000} s`);
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      } finally {
        ledger.release();
      }
    }
  }

  /** What is to be done now: an attempt that was left unfinished, else the hub's newest order. */
  async #nextAttempt(signal: AbortSignal): Promise<AttemptRecord | undefined> {
    const { ledger, machine, clock } = this.#parts;
    if (!this.#hasWork()) return undefined;
    await ledger.hold(signal);
    for (;;) {
      const choice = choose(await this.#situation());
      if (choice.kind === 'carry-on') return choice.record;
      if (choice.kind === 'accept') await ledger.accept(choice.sequence, signal);
      if (choice.kind !== 'drop') break;
      await ledger.write(choice.record, signal);
    }
    const back = await this.#parts.truth?.revert(await machine.see());
    return back === undefined ? undefined : newAttempt(back, clock.now().time);
  }

  /** Whether the order was dealt with, by the journal or by what was done by hand since. */
  #isHandled(order: Order): boolean {
    const { truth, ledger } = this.#parts;
    return truth?.isHandled(order) ?? isHandled(order, ledger.journal);
  }

  /** Whether an attempt that waited for its reboot may go on; not over what somebody activated by hand since. */
  #mayReopen(): boolean {
    const { machine, truth } = this.#parts;
    return machine.reboot !== undefined && truth?.holds !== true;
  }

  #hasWork(): boolean {
    const { journal } = this.#parts.ledger;
    if (journal.attempt !== undefined && !isDone(journal.attempt)) return true;
    if (this.#parts.truth?.wantsRevert === true) return true;
    if (this.#wanted === undefined) return false;
    if (this.#mayReopen() && reopened(this.#wanted, journal) !== undefined) return true;
    return !this.#isHandled(this.#wanted) || this.#wanted.sequence > journal.sequence;
  }

  /** Whether an attempt, of another process perhaps, is in the middle of its work. */
  #isUnfinished(): boolean {
    const { attempt } = this.#parts.ledger.journal;
    return attempt !== undefined && !isDone(attempt) && !isReplaceable(attempt);
  }

  async #situation(): Promise<Situation> {
    const { ledger, machine, clock } = this.#parts;
    const wanted = this.#wanted;
    return {
      journal: ledger.journal,
      wanted,
      handled: wanted !== undefined && this.#isHandled(wanted),
      canReboot: this.#mayReopen(),
      seen: await machine.see(),
      time: clock.now().time,
    };
  }

  async #carryOut(record: AttemptRecord, signal: AbortSignal): Promise<void> {
    const { ledger, log, machine, hub, clock } = this.#parts;
    const cancel = new AbortController();
    const current: InHand = { order: record.order, record, cancel, note: undefined };
    this.#current = current;
    this.#rest.end();
    const within = AbortSignal.any([signal, cancel.signal]);
    const ports: AttemptPorts = {
      machine,
      hub,
      clock,
      awaitGo: (order, stop) => this.#awaitGo(order, stop),
      awaitReboot: (order, stop) => this.#awaitReboot(order, stop),
      note: (text) => {
        current.note = text;
        this.#look(signal).catch((error: unknown) => log.warn(String(error)));
      },
      save: async (next) => {
        await ledger.write(next, signal);
        if (next.phase !== current.record.phase) log.info(`attempt ${next.order.id}: ${next.phase}`);
        current.record = next;
        current.note = undefined;
        // Before the machine is touched others may have their turn.
        if (isResting(next)) ledger.release();
        await this.#look(signal);
      },
    };
    try {
      const done = await drive(record, ports, within);
      log.info(`attempt ${done.order.id} ended: ${done.phase}: ${done.message}`);
      await machine.finished?.(done);
    } catch (error: unknown) {
      if (!cancel.signal.aborted) throw error;
    } finally {
      this.#current = undefined;
    }
  }

  async #awaitGo(order: Order, signal: AbortSignal): Promise<Order> {
    if (order.origin === 'local') return order;
    for (;;) {
      const ring = this.#bell.next;
      // There is something to say yes to now.
      const question = this.#question;
      if (question !== undefined && isSameOrder(order, question)) this.#parts.people?.ask(question);
      if (this.#wanted !== undefined && isSameOrder(this.#wanted, order) && this.#wanted.go) return this.#wanted;
      await heard(ring, signal);
    }
  }

  /** The order once the machine may restart for it; undefined when there is another one by then. */
  async #awaitReboot(order: Order, signal: AbortSignal): Promise<Order | undefined> {
    for (;;) {
      const ring = this.#bell.next;
      const wanted = this.#wanted;
      if (wanted !== undefined && !isSameOrder(wanted, order)) return undefined;
      if (wanted?.mayReboot && wanted.go) return wanted;
      await heard(ring, signal);
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    // Someone at the console may have made an attempt, or left one behind.
    const current = this.#current;
    if (current === undefined) await this.#parts.ledger.refresh();
    else if (current.record.step === 'await-reboot') await this.#yieldToConsole(current);
    await this.#look(signal);
    if (this.#hasWork()) this.#bell.ring();
  }

  /** An attempt that waits for leave to restart is given up where somebody at the console has ended it. */
  async #yieldToConsole(current: InHand): Promise<void> {
    const { attempt } = await this.#parts.ledger.peek();
    if (attempt !== undefined && isFor(attempt, current.order) && !isDone(attempt)) return;
    current.cancel.abort(new Error('another process ended it'));
  }

  /** Reads the machine and reports what it is. */
  async #look(signal: AbortSignal): Promise<void> {
    const { machine, ledger } = this.#parts;
    const seen = await machine.see();
    // In mid-switch systemd is busy, and the checks ask it anyway.
    const busy = this.#current !== undefined && !isResting(this.#current.record);
    const failedUnits =
      busy && this.#reading !== undefined ? this.#reading.failedUnits : await machine.failedUnits(signal);
    const [rebootReasons, undoes, fallback, facts, expectedAgent] = await Promise.all([
      machine.rebootReasons(seen.booted, closureAfterReboot(ledger.journal, seen)),
      machine.undoes?.(seen) ?? false,
      machine.hasFallback?.(),
      machine.facts(seen.current),
      machine.agentOf?.(seen.current),
    ]);
    const unfinished = busy || this.#isUnfinished();
    const told = await this.#parts.truth?.look(ledger.journal, seen, unfinished);
    if (!unfinished) await machine.settled?.(seen);
    const known = {
      ...(fallback === undefined ? {} : { fallback }),
      ...(told === undefined ? {} : { told }),
      ...(expectedAgent === undefined ? {} : { expectedAgent }),
    };
    this.#reading = { seen, failedUnits, rebootReasons, undoes, facts, ...known };
    const state: MachineState = {
      ...machineState(ledger.journal, this.#reading, this.#wanted),
      ...this.#ofPeople(),
      ...(this.#refused === undefined ? {} : { refused: this.#refused }),
    };
    const note = this.#current?.note;
    if (note === undefined || state.attempt === undefined) this.#reporter.update(state);
    else this.#reporter.update({ ...state, attempt: { ...state.attempt, message: note.slice(0, 2048) } });
  }

  /** What secrets and people have to report. */
  #ofPeople(): Pick<MachineState, 'secrets' | 'consent'> {
    const { secrets, people } = this.#parts;
    const { status } = secrets ?? {};
    const { consent } = people ?? {};
    return { ...(status === undefined ? {} : { secrets: status }), ...(consent === undefined ? {} : { consent }) };
  }
}
