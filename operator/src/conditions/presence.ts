// What is told of when a machine comes and goes: everything, or no time of day (`spec.presence`).
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { specOf } from './standing.ts';

/** Whether the people of this machine want no connection times to be kept. */
export function isCoarse(machine: NixMachine): boolean {
  return specOf(machine).presence === 'Coarse';
}

/** A time as it may be kept of this machine: as it is, or the beginning of its day (UTC). */
export function presenceTime(machine: NixMachine, time: string): string {
  return isCoarse(machine) ? `${time.slice(0, 10)}T00:00:00Z` : time;
}

/** The status without connection times where there may be none. Every write passes through here. */
export function withoutTimes(machine: NixMachine, status: NixMachineStatus): NixMachineStatus {
  const { connection } = status;
  if (connection === undefined || !isCoarse(machine)) return status;
  const { lastSeen: _, ...rest } = connection;
  return { ...status, connection: { ...rest, since: presenceTime(machine, connection.since) } };
}
