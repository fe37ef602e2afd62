// What an attempt needs of the world: the machine, the hub, the clock. Tests and the simulated agent bring their own.
import type { Confirmation, Done, Fetched, Health, RunOutcome, Seen } from './outcome.ts';
import type { AttemptRecord, Before, Order } from './record.ts';
import type { Moment } from './transition.ts';

/** One run of switch-to-configuration. A run with the same name is the same run, whoever asks for it. */
export type Run = {
  readonly name: string;
  readonly closure: string;
  readonly verb: 'test' | 'boot';
  /** NIXOS_NO_CHECK=1: the way back must not be refused. */
  readonly skipChecks: boolean;
  readonly limitSeconds: number;
};

/** A timer that calls the old agent's `rescue`. */
export type DeadMan = {
  readonly attempt: string;
  readonly number: number;
  readonly seconds: number;
  /** Command line of the agent to run. */
  readonly program: readonly string[];
  /** Closure to go back to, should the journal be unreadable by then. */
  readonly from: string;
};

export type HealthQuestion = {
  readonly checks: Order['healthChecks'];
  readonly failedBefore: readonly string[];
  /** Units that were active before the switch: those that are wanted still must be active again. */
  readonly activeBefore: readonly string[];
  /** Exit code of the switch: where no unit can be asked, it decides. */
  readonly exitCode: number | undefined;
  /** Why it ended so, in the words of switch-to-configuration. */
  readonly said?: string;
  /** Units that it names as not started. */
  readonly blamed?: readonly string[];
};

export interface Machine {
  /** Reads what runs, what was booted and what the next boot starts. */
  see(): Promise<Seen>;
  /** Units that have failed now. */
  failedUnits(signal: AbortSignal): Promise<readonly string[]>;
  /** Brings the closure into the store, keeps it from the garbage collector, and checks its signatures. `note` is told what delays it. */
  fetch(order: Order, note: (text: string) => void, signal: AbortSignal): Promise<Fetched>;
  /** Keys of switch-inhibitors that both systems have, with different values. Absent: there are none. */
  inhibitors?(running: string, wanted: string): Promise<readonly string[]>;
  /** Store path of a specialisation; undefined where the closure has none of that name. */
  specialisation?(closure: string, name: string): Promise<string | undefined>;
  /** Whether there is a route to anywhere. Absent: there always is. */
  online?(): Promise<boolean>;
  /** Units that are active, as far as a failed switch may have to be made good by starting them again. */
  activeUnits?(signal: AbortSignal): Promise<readonly string[]>;
  /** Starts those of the units that are no longer active and do not start by themselves. */
  startUnits?(units: readonly string[], signal: AbortSignal): Promise<Done>;
  /** Why this closure can't be activated at all; undefined when it can. */
  complaint(closure: string): Promise<string | undefined>;
  /** Why this system would leave the machine without an agent; undefined when it brings one. Absent: it needs none. */
  missingAgent?(system: string): Promise<string | undefined>;
  /** Keeps a closure from the garbage collector as the way back. */
  keepWayBack(closure: string): Promise<void>;
  /** Command line of the agent that runs. */
  readonly program: readonly string[];
  /** Arms a timer, then puts away the earlier ones of the attempt. Arming the same number again replaces it. */
  arm(timer: DeadMan, signal: AbortSignal): Promise<Done>;
  /** Puts away all timers of the attempt up to this number. */
  disarm(attempt: string, number: number): Promise<void>;
  /** Starts the run, or finds it where it was started before, and waits for its end. */
  run(run: Run, signal: AbortSignal): Promise<RunOutcome>;
  /** Whether switch-to-configuration left units that it had still to start. */
  unfinished(): Promise<boolean>;
  /** Points the system profile at a closure, and removes generations that nobody needs. */
  setProfile(closure: string, signal: AbortSignal, generations?: Order['generations']): Promise<Done>;
  /** Points it back to a closure, undefined for none, and forgets the generation that it had for another. */
  restoreProfile(closure: string | undefined, dropped: string, signal: AbortSignal): Promise<Done>;
  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health>;
  /** Lets the agent of the new closure take over. Absent where the process goes on by itself. Never returns while the process lives. */
  handOver?(signal: AbortSignal): Promise<never>;
  /** Restarts the machine. Absent where that is not ours to do. Returns only when it failed. */
  reboot?(signal: AbortSignal): Promise<Done>;
}

export interface HubConfirmer {
  /** Asks once, over a new connection. */
  confirm(attempt: string, closure: string, signal: AbortSignal): Promise<Confirmation>;
}

export interface Clock {
  now(): Moment;
  /** Rejects when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** The new closure's agent did not take over. This process must end: only another one may go on. */
export class HandOverError extends Error {
  override readonly name = 'HandOverError';
}

/** What carries an attempt through. */
export type AttemptPorts = {
  readonly machine: Machine;
  readonly hub: HubConfirmer;
  readonly clock: Clock;
  /** Resolves when the order has its go, with the order as it is then. */
  awaitGo(order: Order, signal: AbortSignal): Promise<Order>;
  /** Resolves with the order once the machine may restart for it, and with undefined once another took its place. */
  awaitReboot(order: Order, signal: AbortSignal): Promise<Order | undefined>;
  /** Told what delays the step in hand. */
  note(text: string): void;
  /** Stores the record durably before the next step is done. */
  save(record: AttemptRecord): Promise<void>;
};

/** The record of what was before; a step that needs it is never reached without. */
export function beforeOf(record: AttemptRecord): Before {
  if (record.before === undefined)
    throw new Error(`step ${record.step} of attempt ${record.order.id} has no record of the old system`);
  return record.before;
}
