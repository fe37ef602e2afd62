// The attempt that carries out the order of a machine.
import type { Attempt, NixMachineStatus } from '@floe/crds/nix-machine';

/**
 * The attempt at the order that stands, by id and closure; undefined where the machine has not begun with it. An earlier
 * version of Floe gave two orders of one run the same id, whatever their closures.
 */
export function ownAttempt({ desired, attempt }: NixMachineStatus): Attempt | undefined {
  const isOwn = desired !== undefined && attempt?.desiredId === desired.id && attempt.to === desired.closure;
  return isOwn ? attempt : undefined;
}
