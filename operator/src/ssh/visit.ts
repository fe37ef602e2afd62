// One visit to a machine without an agent: look, carry out what is to be done, report each change.
import { randomUUID } from 'node:crypto';
import { choose } from '@floe/agent/attempt/choose';
import { drive } from '@floe/agent/attempt/drive';
import { undoSeconds } from '@floe/agent/attempt/limits';
import { attemptName } from '@floe/agent/attempt/names';
import type { Confirmation } from '@floe/agent/attempt/outcome';
import type { Clock } from '@floe/agent/attempt/ports';
import {
  type AttemptRecord,
  isDone,
  isReplaceable,
  isResting,
  isSameOrder,
  type Order,
} from '@floe/agent/attempt/record';
import { undo, unproven } from '@floe/agent/attempt/transition';
import { withAttempt } from '@floe/agent/journal/journal';
import { isHandled, orderFault, orderOf } from '@floe/agent/order';
import { realClock } from '@floe/agent/real-clock';
import { closureAfterReboot, machineState } from '@floe/agent/state';
import type { DesiredMessage, MachineState } from '@floe/crds/protocol';
import type { Address } from './connection.ts';
import { Link, type LinkOptions } from './link.ts';
import { RemoteJournal } from './remote-journal.ts';
import { RemoteMachine, RescuedError } from './remote-machine.ts';
import type { Sight } from './sight.ts';
import { NoVisit } from './visit-failure.ts';

export type VisitOptions = {
  readonly address: Address;
  /** The order as it is now; read again whenever a step asks. */
  readonly desired: () => DesiredMessage | undefined;
  /** Takes the machine's present state. */
  readonly report: (state: MachineState) => void;
  /** Whether an attempt is still desired: the hub's answer. */
  readonly judge: (attempt: string, closure: string) => Promise<Confirmation>;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
  readonly link?: Omit<LinkOptions, 'address'>;
  /** Waits; default by the clock. */
  readonly sleep?: Clock['sleep'];
  /** Told before each write of the journal; for tests. */
  readonly onStep?: (record: AttemptRecord) => void;
};

const AGENT_RUNS = 'floe-agent runs on this machine, so nothing is switched by SSH: set target agent, or stop it';

/** The order has no go yet: the visit ends, and the journal says where to go on. */
class Parked extends Error {
  override readonly name = 'Parked';
}

/** The order for a machine that nobody watches over: it never restarts into a closure, and keeps what it has. */
export function orderFor(message: DesiredMessage): Order {
  const { rebootPolicy: _, mayReboot: __, whenOnline: ___, generations: ____, ...order } = orderOf(message);
  return order;
}

/** Time on the machine's own boot clock: deadlines in its journal outlive this process. */
function clockOf(uptimeSeconds: number, sleep: Clock['sleep']): Clock {
  const offset = uptimeSeconds * 1000 - performance.now();
  return { sleep, now: () => ({ time: new Date().toISOString(), monotonicMs: performance.now() + offset }) };
}

/**
 * Visits once; resolves when nothing is left to be done now. Rejects with SshError when the machine is not reached, and
 * with NoVisit when an agent has it.
 */
export async function visit(options: VisitOptions): Promise<void> {
  const link = new Link({ ...options.link, address: options.address });
  try {
    await new Visit(options, link).run();
  } finally {
    link.close();
  }
}

class Visit {
  readonly #options: VisitOptions;
  readonly #journal: RemoteJournal;
  readonly #machine: RemoteMachine;
  #clock: Clock = realClock;
  #facts: Readonly<Record<string, string>> = {};
  #failedUnits: readonly string[] = [];
  #rebootReasons: readonly string[] = [];

  constructor(options: VisitOptions, link: Link) {
    this.#options = options;
    const owner = randomUUID();
    this.#journal = new RemoteJournal(link, owner);
    const clock: Clock = { now: () => this.#clock.now(), sleep: (ms, stop) => this.#clock.sleep(ms, stop) };
    this.#machine = new RemoteMachine({ link, owner, clock, signal: options.signal });
  }

  async run(): Promise<void> {
    const { signal, warn } = this.#options;
    const damage = await this.#journal.claim(signal);
    if (damage !== undefined) warn(`the journal on the machine was damaged: ${damage}`);
    this.#know(this.#journal.journal.attempt?.order);
    this.#know(this.#wanted());
    const first = await this.#machine.look();
    this.#clock = clockOf(first.uptime, this.#options.sleep ?? realClock.sleep);
    this.#facts = await this.#machine.facts();
    await this.#report();
    if (first.agentRuns) throw new NoVisit('AgentRuns', AGENT_RUNS);
    for (;;) {
      const record = await this.#next();
      if (record === undefined) break;
      try {
        await this.#carryOut(record);
      } catch (error) {
        if (error instanceof Parked) break;
        if (!(error instanceof RescuedError)) throw error;
      }
    }
    await this.#report();
  }

  #know(order: Order | undefined): void {
    if (order !== undefined) {
      this.#machine.begin({ name: attemptName(order), undoSeconds: undoSeconds(order), closure: order.closure });
    }
  }

  #wanted(): Order | undefined {
    const message = this.#options.desired();
    const order = message === undefined ? undefined : orderFor(message);
    if (order === undefined) return undefined;
    const fault = orderFault(order, {
      journal: this.#journal.journal,
      last: undefined,
      time: new Date().toISOString(),
    });
    if (fault === undefined) return order;
    this.#options.warn(`order ${order.id} is refused: ${fault}`);
    return undefined;
  }

  /** What is to be done now: an attempt that was left unfinished, else the newest order. */
  async #next(): Promise<AttemptRecord | undefined> {
    const { signal } = this.#options;
    for (;;) {
      const { journal } = this.#journal;
      const wanted = this.#wanted();
      const sight = await this.#machine.look();
      const handled = wanted !== undefined && isHandled(wanted, journal);
      const { time } = this.#clock.now();
      const choice = choose({ journal, wanted, handled, canReboot: false, seen: sight.seen, time });
      switch (choice.kind) {
        case 'carry-on':
          return wasRescued(journal.attempt, sight) ?? choice.record;
        case 'accept':
          await this.#journal.save({ ...journal, sequence: choice.sequence }, signal);
          break;
        case 'drop':
          await this.#journal.save(withAttempt(journal, choice.record), signal);
          break;
        case 'nothing':
          return undefined;
      }
    }
  }

  async #carryOut(start: AttemptRecord): Promise<void> {
    const { signal, onStep } = this.#options;
    this.#know(start.order);
    let told: string | undefined;
    await drive(
      start,
      {
        machine: this.#machine,
        hub: { confirm: (attempt, closure, stop) => this.#confirm(attempt, closure, stop) },
        clock: this.#clock,
        awaitGo: async (order) => {
          const wanted = this.#wanted();
          if (wanted === undefined || !isSameOrder(wanted, order) || !wanted.go) throw new Parked();
          return wanted;
        },
        // No order asks for it; see orderFor.
        awaitReboot: async () => undefined,
        note: () => undefined,
        save: async (record) => {
          onStep?.(record);
          await this.#journal.save(withAttempt(this.#journal.journal, record), signal);
          if (record.phase !== told || isDone(record)) await this.#report(record);
          told = record.phase;
        },
      },
      signal,
    );
  }

  async #confirm(attempt: string, closure: string, signal: AbortSignal): Promise<Confirmation> {
    try {
      const answer = await this.#options.judge(attempt, closure);
      if (answer.kind !== 'confirmed') return answer;
      const record = this.#journal.journal.attempt;
      // What only a boot starts is confirmed while the old closure runs.
      const system = record?.systemTouched ? (record.target ?? closure) : (record?.before?.system ?? closure);
      const fault = await this.#machine.confirm(system, signal);
      return fault === undefined ? answer : { kind: 'unreachable', message: fault };
    } catch (error) {
      if (error instanceof Error) return { kind: 'unreachable', message: error.message };
      throw error;
    }
  }

  async #report(record = this.#journal.journal.attempt): Promise<void> {
    const { signal, report, desired } = this.#options;
    const { journal } = this.#journal;
    const { seen } = await this.#machine.look();
    // In mid-switch systemd is busy, and the checks ask it anyway.
    if (record === undefined || isResting(record) || isReplaceable(record)) {
      this.#failedUnits = await this.#machine.failedUnits(signal);
      this.#rebootReasons = await this.#machine.rebootReasons(seen.booted, closureAfterReboot(journal, seen));
    }
    const [failedUnits, rebootReasons] = [this.#failedUnits, this.#rebootReasons];
    const reading = { seen, failedUnits, rebootReasons, facts: this.#facts };
    report(machineState(journal, reading, desired()));
  }
}

/** The attempt on its way back, where the machine's own timer has begun that while nobody was connected. */
function wasRescued(record: AttemptRecord | undefined, { rescued }: Sight): AttemptRecord | undefined {
  if (record === undefined || isDone(record) || record.ending !== undefined) return undefined;
  if (rescued !== attemptName(record.order) || isReplaceable(record)) return undefined;
  const why = 'The machine was not reached in time before the new closure was kept, and went back by its own timer.';
  return undo(record, unproven(record), why);
}
