// What the planner looks at: one namespace as the API server holds it.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import type { Closures } from './closures.ts';

export type Snapshot = {
  readonly rollout: Rollout;
  /** All Rollouts of the namespace, `rollout` included or not: older ones own the machines that both select. */
  readonly rollouts: readonly Rollout[];
  /** The NixConfig that `rollout` names; undefined where there is none. */
  readonly config: NixConfig | undefined;
  /** Machines of the namespace; those of other configs are left out. */
  readonly machines: readonly NixMachine[];
  /** Closures of the config's revisions. */
  readonly closures: Closures;
};
