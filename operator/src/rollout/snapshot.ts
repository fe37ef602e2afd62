// What the planner looks at: one namespace as the API server holds it.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import type { Measured } from './analysis/memory.ts';
import type { Closures } from './closures.ts';
import type { Neighbours } from './tally.ts';

export type Snapshot = {
  readonly rollout: Rollout;
  /** All Rollouts of the namespace, `rollout` included or not: older ones own the machines that both select. */
  readonly rollouts: readonly Rollout[];
  /** The NixConfig that `rollout` names; undefined where there is none. */
  readonly config: NixConfig | undefined;
  /** Machines of the namespace, at least all of the config; the others count in budgets only. */
  readonly machines: readonly NixMachine[];
  /** What budgets must know of machines of the namespace that are not in `machines`; undefined: there are none. */
  readonly neighbours?: Neighbours;
  /** The NixConfigs of the Rollouts that `rollout` depends on; its own may be among them. */
  readonly configs?: readonly NixConfig[];
  /** What was measured and is not in the status yet. */
  readonly measured?: readonly Measured[];
  /**
   * Whether a run that begins now is watched by the built-in check, where its spec does not say otherwise: the operator
   * does. Later plans find that in the status, and so does `floe plan`, which begins no watch of its own.
   */
  readonly watches?: true;
  /** Closures of the config's revisions. */
  readonly closures: Closures;
};
