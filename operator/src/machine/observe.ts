// Looks up in the stores what the plan for a machine needs.
import type { NixMachine } from '@floe/crds/nix-machine';
import { keeperOfKey, keyOfMachine } from '../conditions/identity.ts';
import { selects } from '../conditions/label-selector.ts';
import { specOf } from '../conditions/standing.ts';
import { keyOf } from '../kube/object.ts';
import type { ClosureReader } from './closure-reader.ts';
import type { MachineStores } from './machine-stores.ts';
import type { ReplicaLiveness } from './replica-liveness.ts';
import type { MachineSnapshot } from './snapshot.ts';

export type ObservePorts = {
  readonly stores: MachineStores;
  readonly closures: ClosureReader;
  readonly liveness: ReplicaLiveness;
  /** Monotonic, in seconds. */
  readonly uptime: () => number;
};

/** The snapshot for one machine. */
export function observe(machine: NixMachine, { stores, closures, liveness, uptime }: ObservePorts): MachineSnapshot {
  const { namespace, name, labels } = machine.metadata;
  const configKey = keyOf({ namespace, name: specOf(machine).configRef?.name ?? '' });
  const config = stores.nixConfigs.get(configKey);
  const publicKey = keyOfMachine(machine);
  const connection = machine.status?.connection;
  const replica = connection?.online === true ? connection.replica : undefined;
  return {
    machine,
    config,
    closure:
      config === undefined
        ? { kind: 'none' }
        : closures.read(config, stores.controllerRevisions.by('config', configKey), name),
    isSelected: stores.rollouts.by('config', configKey).some(({ spec }) => selects(spec?.selector, labels)),
    keyKeeper:
      publicKey === undefined ? undefined : keeperOfKey(machine, stores.nixMachines.by('sshHostKey', publicKey)),
    replicaGoneIn: replica === undefined ? undefined : liveness.goneIn(replica, uptime()),
  };
}
