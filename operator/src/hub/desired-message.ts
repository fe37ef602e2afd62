// Makes the order that a machine is sent out of its NixMachine and its NixConfig.
import { durationSeconds } from '@floe/crds/duration';
import type { Generations, GenerationsMessage } from '@floe/crds/generations';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { DesiredMessage } from '@floe/crds/protocol';
import { rfc3339 } from '@floe/crds/rfc3339';
import { consentDeadline } from '../conditions/consent.ts';
import { isHeld, specOf } from '../conditions/standing.ts';
import { activationOrder } from './activation-order.ts';

const SWITCH_TIMEOUT_SECONDS = 600;
const CONFIRM_TIMEOUT_SECONDS = 120;
const LONGEST_SECONDS = 86_400;

/** The order to send, or undefined while there is none. A machine on hold may fetch, but not begin. */
export function desiredMessage(
  machine: NixMachine,
  config: NixConfig | undefined,
  now: Date,
): DesiredMessage | undefined {
  const desired = machine.status?.desired;
  if (desired === undefined) return undefined;
  const activation = specOf(machine).activation ?? {};
  const { mode, timeout, confirmTimeout, healthChecks, drift, generations } = activation;
  const url = config?.status?.cache?.url;
  const deadline = consentDeadline(machine);
  return {
    type: 'desired',
    id: desired.id,
    sequence: desired.sequence,
    revision: desired.revision,
    closure: desired.closure,
    go: Boolean(desired.go) && !isHeld(machine, now),
    reboot: desired.reboot === true && !isHeld(machine, now),
    mode: mode ?? 'switch',
    switchTimeoutSeconds: seconds(timeout, SWITCH_TIMEOUT_SECONDS),
    confirmTimeoutSeconds: seconds(confirmTimeout, CONFIRM_TIMEOUT_SECONDS),
    healthChecks: healthChecks ?? [],
    substituters: url === undefined ? [] : [url],
    ...activationOrder(activation, desired),
    ...(drift === undefined ? {} : { drift }),
    ...(generations === undefined ? {} : { generations: generationsMessage(generations) }),
    ...(deadline === undefined ? {} : { consent: { until: rfc3339(new Date(deadline)) } }),
  };
}

function generationsMessage({ keep, maxAge }: Generations): GenerationsMessage {
  const maxAgeSeconds = durationSeconds(maxAge ?? '');
  return {
    ...(keep === undefined ? {} : { keep }),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  };
}

function seconds(text: string | undefined, fallback: number): number {
  const given = text === undefined ? undefined : durationSeconds(text);
  return Math.min(LONGEST_SECONDS, Math.max(1, given ?? fallback));
}
