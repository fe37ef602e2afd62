// The indexes that hub and machine controller need in the stores; main passes them to the stores that it makes.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { keyOfMachine } from './identity.ts';
import { specOf } from './standing.ts';

/** Indexes of the store of NixMachines. */
export const machineIndexes = {
  /** SSH host key, canonical. */
  sshHostKey: (machine: NixMachine): readonly string[] => present(keyOfMachine(machine)),
  /** Replica of the hub that it is connected to; only while it is online. */
  replica: (machine: NixMachine): readonly string[] => {
    const connection = machine.status?.connection;
    return connection?.online === true ? present(connection.replica) : [];
  },
  /** `namespace/name` of its NixConfig. */
  config: (machine: NixMachine): readonly string[] => {
    const name = specOf(machine).configRef?.name;
    return typeof name === 'string' ? [`${machine.metadata.namespace ?? ''}/${name}`] : [];
  },
} as const;

/** Indexes of the store of ControllerRevisions. */
export const recordIndexes = {
  /** `namespace/name` of its NixConfig. */
  config: (record: ControllerRevision): readonly string[] =>
    record.data === undefined ? [] : [`${record.metadata.namespace ?? ''}/${record.data.config}`],
} as const;

const present = (value: string | undefined): readonly string[] => (value === undefined ? [] : [value]);
