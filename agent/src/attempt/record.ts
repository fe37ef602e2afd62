// What the journal keeps of one attempt: the order, how far it is, and all that is needed to go on after a crash.

import type { RebootPolicy } from '@floe/crds/activation';
import type { AttemptPhase } from '@floe/crds/attempt-phase';
import type { GenerationsMessage } from '@floe/crds/generations';
import type { CheckResult, HealthCheck } from '@floe/crds/health-check';

export type Mode = 'switch' | 'boot' | 'test';

/** What the machine is told to do, by the hub or by root at its console. */
export type Order = {
  /** The hub's `desired.id`, or the `--attempt` of `floe-agent apply`. With `closure` it is the key of the attempt. */
  readonly id: string;
  readonly closure: string;
  /** `local` is root on the machine itself: needs no signature and no sequence. */
  readonly origin: 'hub' | 'local';
  readonly sequence: number;
  /** The agent's own order, by which drift is put back. */
  readonly revert?: true;
  /** Who gave it, where that is a person. */
  readonly by?: string;
  readonly revision?: string;
  /** False: fetch, then wait. */
  readonly go: boolean;
  readonly mode: Mode;
  readonly confirm: 'none' | 'hub';
  /** Limit of each run of switch-to-configuration, in seconds. */
  readonly switchTimeoutSeconds: number;
  /** Limit of confirming over a new connection, in seconds. */
  readonly confirmTimeoutSeconds: number;
  readonly healthChecks: readonly HealthCheck[];
  readonly substituters: readonly string[];
  /** Why the hub gave it; `Retry` lets a closure be tried that failed here before. */
  readonly reason?: string;
  /** Default Never. */
  readonly rebootPolicy?: RebootPolicy;
  /** The machine may restart now, where the closure needs it. */
  readonly mayReboot?: true;
  /** Specialisation of the closure that is to run. */
  readonly specialisation?: string;
  /** The machine's own checks suffice where it has no route to anywhere, and had none before. */
  readonly whenOnline?: true;
  /** Limit of each run on the way back, in seconds; default that of the switch. */
  readonly rollbackTimeoutSeconds?: number;
  /** Seconds for which a way back that failed is tried again before the machine restarts; default 0. */
  readonly rebootAfterSeconds?: number;
  /** Units that fail on the new closure are no reason to go back. */
  readonly keepDegraded?: true;
  /** Root at the console has said that the closure may come without an agent. */
  readonly withoutAgent?: true;
  /** Which generations of the system profile stay; absent: what the machine itself says. */
  readonly generations?: GenerationsMessage;
};

export type FinalPhase = 'Committed' | 'RebootRequired' | 'RolledBack' | 'Unconfirmed' | 'Failed' | 'Cancelled';

/** The step that is done next. The journal is written between any two of them. */
export type Step =
  | 'fetch'
  | 'await-go'
  | 'begin'
  | 'arm-switch'
  | 'switch'
  | 'arm-start'
  | 'hand-over'
  | 'arm-health'
  | 'health'
  | 'confirm'
  | 'arm-commit'
  | 'profile'
  | 'boot'
  | 'stand-down'
  | 'await-reboot'
  | 'restart'
  | 'arm-undo'
  | 'undo-profile'
  | 'undo-boot'
  | 'undo-system'
  | 'undo-units'
  | 'undo-check'
  | 'reboot'
  | 'disarm'
  | 'done';

/** What the machine was like before it was touched. */
export type Before = {
  /** Closure that ran, /run/current-system. */
  readonly system: string;
  /** Closure that the system profile named; absent where there was none. */
  readonly profile?: string;
  /** Closure that the next boot started; absent where the boot loader could not be read. */
  readonly bootDefault?: string;
  /** Units that had failed already. */
  readonly failedUnits: readonly string[];
  /** The boot in which the machine was touched. */
  readonly bootId: string;
  /** Command line of the agent that began; the timer runs it. */
  readonly program: readonly string[];
  /** Whether it had a route to anywhere; absent where nobody looked. */
  readonly online?: boolean;
  /** Units that were active, as far as the way back may have to start them again. Dropped at the end. */
  readonly activeUnits?: readonly string[];
};

/** When a phase began. */
export type PhaseStart = { readonly phase: AttemptPhase; readonly at: string };

export type Ending = { readonly phase: FinalPhase; readonly message: string };

export type AttemptRecord = {
  readonly order: Order;
  readonly step: Step;
  readonly phase: AttemptPhase;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly before?: Before;
  /** Number of the timer armed last; 0 for none. The next one may be armed already, if the process died right then. */
  readonly armed: number;
  /** Number of the run of switch-to-configuration that is next or under way. */
  readonly run: number;
  /** Runs in a row that found switch-to-configuration's lock taken. */
  readonly lockTries: number;
  /** Monotonic milliseconds of the first of them. */
  readonly busySince: number;
  /** The system may be on the new closure, or between the two. */
  readonly systemTouched: boolean;
  /** Profile or boot entry may name the new closure. */
  readonly bootTouched: boolean;
  /** The new closure takes effect with the next boot only. */
  readonly rebootOnly: boolean;
  /** All checks on the machine itself have passed. */
  readonly passed: boolean;
  /** The system was rolled back, or the roll-back is under way. */
  readonly undone: boolean;
  /** How a run of the way back failed that was to bring the old system. */
  readonly undoFault?: string;
  /** How writing the boot entry again failed on the way back. */
  readonly undoBootFault?: string;
  /** The machine was restarted to get the old closure back. */
  readonly rebooted: boolean;
  /** Monotonic milliseconds of this boot at which confirming ends. */
  readonly confirmBy?: number;
  /** Exit code of the switch that brought the new closure, or of writing its boot entry where that failed. */
  readonly exitCode?: number;
  /** Why the switch ended with that code, in the words of switch-to-configuration. */
  readonly said?: string;
  /** Units that it names as not started. */
  readonly blamedUnits?: readonly string[];
  /** Units that failed on the new closure and had not before. */
  readonly failedUnits?: readonly string[];
  /** What each health check came to. */
  readonly checks?: readonly CheckResult[];
  readonly message?: string;
  /** What the last message has to say beside how it ended: why it waits for a reboot, what was let pass. */
  readonly remarks?: readonly string[];
  /** Store path that /run/current-system will name, where that is a specialisation of the closure. */
  readonly target?: string;
  /** Profile and boot entry name the new closure for this attempt only: it goes on after the boot. */
  readonly staged?: true;
  /** The machine was booted into the new closure, so only another boot brings back the old one as it was. */
  readonly cameUp?: true;
  /** A system profile that somebody set by hand meanwhile, which is left alone. */
  readonly leftProfile?: string;
  /** Monotonic milliseconds at which the way back was found not to have worked, and how often it was tried since. */
  readonly undoSince?: number;
  readonly undoTries?: number;
  /** It was not begun, since the closure had failed here before. */
  readonly knownBad?: true;
  readonly phases?: readonly PhaseStart[];
  /** How it will end once everything is put away. */
  readonly ending?: Ending;
};

/** A new attempt, before anything was done. */
export function newAttempt(order: Order, startedAt: string): AttemptRecord {
  return {
    order,
    step: 'fetch',
    phase: 'Fetching',
    startedAt,
    armed: 0,
    run: 0,
    lockTries: 0,
    busySince: 0,
    systemTouched: false,
    bootTouched: false,
    rebootOnly: false,
    passed: false,
    undone: false,
    rebooted: false,
  };
}

const BEFORE_TESTING: ReadonlySet<Step> = new Set<Step>(['fetch', 'await-go', 'begin']);

/** Whether nothing on the machine was touched yet, so that the attempt may be dropped for another. */
export function isReplaceable(record: AttemptRecord): boolean {
  return BEFORE_TESTING.has(record.step);
}

/** Whether the old closure runs and nothing is being changed: others may have their turn, and the machine may be judged. */
export function isResting(record: AttemptRecord): boolean {
  return isReplaceable(record) || isDone(record) || record.step === 'await-reboot';
}

/** Whether the closure that runs is the new one, as it is or as the specialisation that was asked for. */
export function runsNew({ order, target }: AttemptRecord, current: string | undefined): boolean {
  return current !== undefined && (current === order.closure || current === target);
}

/** Whether the attempt itself restarts the machine where the closure needs it, and goes on afterwards. */
export function crossesReboot({ order }: AttemptRecord): boolean {
  return order.origin === 'hub' && order.revert !== true && (order.rebootPolicy ?? 'Never') !== 'Never';
}

/** Whether the attempt has come to its end. */
export function isDone(record: AttemptRecord): boolean {
  return record.step === 'done';
}

type Key = Pick<Order, 'id' | 'closure'>;

/** Whether two orders are one: the same id *and* the same closure. */
export function isSameOrder(one: Key, other: Key): boolean {
  return one.id === other.id && one.closure === other.closure;
}

/** Whether the record is about this order. */
export function isFor(record: AttemptRecord, order: Key): boolean {
  return isSameOrder(record.order, order);
}
