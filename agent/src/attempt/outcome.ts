// What can come of each step of an attempt: data that the next step is decided from.

import type { CheckResult } from '@floe/crds/health-check';
import type { Order } from './record.ts';
import type { SwitchWords } from './switch-words.ts';

/** How one run of switch-to-configuration ended. */
export type RunOutcome =
  | ({ readonly kind: 'exited'; readonly code: number } & SwitchWords)
  | { readonly kind: 'killed'; readonly signal: string }
  | { readonly kind: 'timed-out'; readonly seconds: number }
  /** It is not running and left no exit code. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'not-started'; readonly message: string };

/** What is read from the machine before and after it is touched. */
export type Seen = {
  /** Closure that runs, from /run/current-system; absent where nothing says so. */
  readonly current?: string;
  /** Closure that was booted, from /run/booted-system. */
  readonly booted?: string;
  /** Closure that the next boot starts; `verified` where it was read from the boot loader itself. */
  readonly bootDefault?: { readonly closure: string; readonly verified: boolean };
  /** Closure that the system profile names. */
  readonly profile?: string;
  /** Identifies this boot of the machine. */
  readonly bootId: string;
  /** The closure that `current` is a specialisation of, where it is one. */
  readonly currentIs?: Specialisation;
  /** The same of `booted`. */
  readonly bootedIs?: Specialisation;
  /** The same of `bootDefault`. */
  readonly bootDefaultIs?: Specialisation;
};

/** A specialisation: the closure that it belongs to, and its name there. */
export type Specialisation = { readonly closure: string; readonly name: string };

export type Fetched =
  | { readonly kind: 'fetched' }
  /** It will not be run: not signed as the machine asks for, or malformed. */
  | { readonly kind: 'refused'; readonly message: string }
  /** It could not be had within the limits. */
  | { readonly kind: 'unavailable'; readonly message: string };

export type Health = { readonly checks?: readonly CheckResult[] } & (
  | { readonly kind: 'healthy' }
  | { readonly kind: 'unhealthy'; readonly units: readonly string[]; readonly message: string }
);

export type Confirmation =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'denied'; readonly message: string }
  /** There is no route to anywhere, as there was none before, and the order says that this will do. */
  | { readonly kind: 'offline'; readonly message: string }
  | { readonly kind: 'unreachable'; readonly message: string };

export type Done = { readonly kind: 'ok' } | { readonly kind: 'failed'; readonly message: string };

/** What a step came to. */
export type Outcome =
  | { readonly step: 'fetch'; readonly result: Fetched }
  | { readonly step: 'await-go'; readonly order: Order }
  | {
      readonly step: 'begin';
      readonly seen: Seen;
      readonly failedUnits: readonly string[];
      readonly program: readonly string[];
      readonly complaint?: string;
      /** Keys of switch-inhibitors that running and new system have with different values. */
      readonly inhibitors?: readonly string[];
      /** Store path of the specialisation that was asked for. */
      readonly target?: string;
      readonly online?: boolean;
      readonly activeUnits?: readonly string[];
    }
  | {
      readonly step: 'arm-switch' | 'arm-start' | 'arm-health' | 'arm-commit' | 'arm-undo';
      readonly result: Done;
      /** Closure that runs. */
      readonly current: string | undefined;
    }
  | {
      readonly step: 'switch';
      readonly run: RunOutcome;
      readonly current: string | undefined;
      /** switch-to-configuration left lists of units that it had still to start or restart. */
      readonly unfinished: boolean;
      /** The new agent has to prove that it starts. */
      readonly handOver: boolean;
    }
  | { readonly step: 'hand-over' }
  | { readonly step: 'health'; readonly result: Health }
  | { readonly step: 'confirm'; readonly result: Confirmation }
  | { readonly step: 'profile'; readonly result: Done }
  | { readonly step: 'boot'; readonly run: RunOutcome; readonly seen: Pick<Seen, 'bootDefault' | 'bootDefaultIs'> }
  | { readonly step: 'stand-down'; readonly canReboot: boolean }
  /** Without an order another one took its place. */
  | { readonly step: 'await-reboot'; readonly order: Order | undefined }
  | { readonly step: 'restart'; readonly result: Done }
  /** `left`: somebody set the profile to this closure meanwhile, and it was left so. */
  | { readonly step: 'undo-profile'; readonly result: Done; readonly left?: string }
  | { readonly step: 'undo-units'; readonly result: Done }
  | { readonly step: 'undo-boot'; readonly run: RunOutcome }
  | { readonly step: 'undo-system'; readonly run: RunOutcome }
  | {
      readonly step: 'undo-check';
      readonly seen: Seen;
      readonly failedUnits: readonly string[];
      readonly canReboot: boolean;
    }
  | { readonly step: 'reboot'; readonly result: Done }
  | { readonly step: 'disarm' };
