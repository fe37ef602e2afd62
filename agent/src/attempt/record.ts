// What the journal keeps of one attempt: the order, how far it is, and all that is needed to go on after a crash.
import type { AttemptPhase } from '@floe/crds/attempt-phase';
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
  | 'arm-undo'
  | 'undo-profile'
  | 'undo-boot'
  | 'undo-system'
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
  /** Units that had failed already. */
  readonly failedUnits: readonly string[];
  /** The boot in which the machine was touched. */
  readonly bootId: string;
  /** Command line of the agent that began; the timer runs it. */
  readonly program: readonly string[];
};

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
  /** How a run of the way back failed. */
  readonly undoFault?: string;
  /** The machine was restarted to get the old closure back. */
  readonly rebooted: boolean;
  /** Monotonic milliseconds of this boot at which confirming ends. */
  readonly confirmBy?: number;
  /** Exit code of the switch that brought the new closure, or of writing its boot entry where that failed. */
  readonly exitCode?: number;
  /** Units that failed on the new closure and had not before. */
  readonly failedUnits?: readonly string[];
  /** What each health check came to. */
  readonly checks?: readonly CheckResult[];
  readonly message?: string;
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
