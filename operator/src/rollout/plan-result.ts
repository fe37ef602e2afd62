// What the planner returns.
import type { Condition } from '@floe/crds/object-meta';
import type { Counts, RolloutPhase, RolloutStatus } from '@floe/crds/rollout';
import type { MeasurementTask } from './analysis/tasks.ts';
import type { Budget } from './budget.ts';
import type { Reboot } from './reboots.ts';
import type { Hold, Order } from './tell.ts';

/** What to do now. Each selected machine is done, or in exactly one of `dispatch`, `fetch`, `hold` and `rollback`. */
export type Plan = {
  readonly rollout: string;
  readonly phase: RolloutPhase;
  readonly step: { readonly index: number; readonly total: number };
  /** Machines that get their go. */
  readonly dispatch: readonly Order[];
  /** Machines that are told to fetch only. */
  readonly fetch: readonly Order[];
  readonly hold: readonly Hold[];
  /** Machines that are told to return. */
  readonly rollback: readonly Order[];
  /** Machines that are told that they may restart. */
  readonly reboot: readonly Reboot[];
  /** How many wait for that. */
  readonly rebootsWaiting: number;
  /** Machines that run the closure already and whose status shall say so; nothing changes on them. */
  readonly adopt: readonly Order[];
  /** What is to be measured now. */
  readonly measure: readonly MeasurementTask[];
  /** Before what this plan tells. */
  readonly budget: Budget;
  readonly counts: Counts;
  readonly conditions: readonly Condition[];
  /** When time alone changes something; RFC 3339, null: never. */
  readonly nextCheck: string | null;
  /** The whole next status. */
  readonly status: RolloutStatus;
};
