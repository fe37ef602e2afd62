// What a person should know of a machine's secrets: which is not there, and why.
import type { NixMachine } from '@floe/crds/nix-machine';
import { specOf } from './standing.ts';

/** Whether the machine said of a secret that it can't be there as the spec says. */
export function lacksSecret({ status }: NixMachine): boolean {
  return (status?.secrets?.failed ?? []).length > 0;
}

/** `secret tls.key: there is no user nginx on the machine…`; undefined where all is as the spec says. */
export function secretsMessage(machine: NixMachine): string | undefined {
  const named = specOf(machine).secrets ?? [];
  const status = machine.status?.secrets;
  const first = status?.failed?.[0];
  if (first !== undefined) {
    const others = (status?.total ?? 0) - (status?.delivered ?? 0) - 1;
    return `secret ${first.name}: ${first.message}${others > 0 ? ` (and ${others} more)` : ''}`;
  }
  if (named.length > 0 && status === undefined) {
    return `waits for its ${named.length === 1 ? 'secret' : `${named.length} secrets`}; an agent that is older than spec.secrets knows none`;
  }
  return undefined;
}
