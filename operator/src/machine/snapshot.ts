// What the plan for a machine is made from: everything that was looked at, at one time.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { MachineClosure } from '@floe/crds/revision-closures';

export type MachineSnapshot = {
  readonly machine: NixMachine;
  /** The NixConfig that it names, where it exists. */
  readonly config: NixConfig | undefined;
  /** What the newest revision of that config holds for it. */
  readonly closure: MachineClosure;
  /** Whether some Rollout of that config selects it. */
  readonly isSelected: boolean;
  /** The older machine of the namespace that keeps its key; undefined where it has none, or keeps it itself. */
  readonly keyKeeper: NixMachine | undefined;
  /** Seconds until the replica that it is connected to counts as gone: 0 when it does, undefined while it lives. */
  readonly replicaGoneIn: number | undefined;
};
