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

/** The status without times at which somebody was there, where there may be none. Every write passes through here. */
export function withoutTimes(machine: NixMachine, status: NixMachineStatus): NixMachineStatus {
  if (!isCoarse(machine)) return status;
  const { connection, consent, secrets } = status;
  const { lastSeen: _, ...rest } = connection ?? {};
  return {
    ...status,
    ...(connection === undefined
      ? {}
      : { connection: { ...rest, online: connection.online, since: presenceTime(machine, connection.since) } }),
    ...(consent === undefined ? {} : { consent: { ...consent, at: presenceTime(machine, consent.at) } }),
    ...(secrets?.changedAt === undefined
      ? {}
      : { secrets: { ...secrets, changedAt: presenceTime(machine, secrets.changedAt) } }),
  };
}
