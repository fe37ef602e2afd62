// What an order says of `spec.activation` beside mode, limits and checks.
import type { Activation } from '@floe/crds/activation';
import { durationSeconds } from '@floe/crds/duration';
import type { Desired } from '@floe/crds/nix-machine';
import type { DesiredMessage } from '@floe/crds/protocol';

const LONGEST_SECONDS = 86_400;

type Told = Pick<
  DesiredMessage,
  | 'reboot'
  | 'rebootPolicy'
  | 'confirmPolicy'
  | 'specialisation'
  | 'rollbackTimeoutSeconds'
  | 'rollbackRebootAfterSeconds'
  | 'keepDegraded'
  | 'reason'
>;

function limit(text: string | undefined, least: number): number | undefined {
  const seconds = text === undefined ? undefined : durationSeconds(text);
  return seconds === undefined ? undefined : Math.min(LONGEST_SECONDS, Math.max(least, seconds));
}

/** Whether the machine may restart now: by its spec, or because its Rollout has let it in a window. */
function mayReboot(activation: Partial<Activation>, desired: Desired): boolean {
  switch (activation.reboot) {
    case 'WhenRequired':
      return true;
    case 'InWindow':
      return desired.reboot === true;
    default:
      return false;
  }
}

/** The fields of an order that follow from `spec.activation`; what has its default is left out. */
export function activationOrder(activation: Partial<Activation>, desired: Desired): Told {
  const { reboot, confirm, specialisation, rollback } = activation;
  const timeout = limit(rollback?.timeout, 1);
  const rebootAfter = limit(rollback?.rebootAfter, 0);
  return {
    reason: desired.reason,
    ...(reboot === undefined ? {} : { rebootPolicy: reboot }),
    ...(mayReboot(activation, desired) ? { reboot: true } : {}),
    ...(confirm === undefined ? {} : { confirmPolicy: confirm }),
    ...(specialisation === undefined ? {} : { specialisation }),
    ...(timeout === undefined ? {} : { rollbackTimeoutSeconds: timeout }),
    ...(rebootAfter === undefined ? {} : { rollbackRebootAfterSeconds: rebootAfter }),
    ...(rollback?.degraded === 'Keep' ? { keepDegraded: true } : {}),
  };
}
