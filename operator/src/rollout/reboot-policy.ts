// Whose restart is Floe's to allow, and whether the run waits for it: `spec.activation.reboot` of a machine.
import type { RolloutSpec } from '@floe/crds/rollout';
import type { Facts } from './facts.ts';
import { goesOn, type Run } from './run.ts';

/** Whether the go of a machine says at once that it may restart: so it costs no write of its own. */
export function rebootsWithGo({ maxRebooting }: RolloutSpec, { machine }: Facts): boolean {
  return machine.spec.activation?.reboot === 'WhenRequired' && maxRebooting === undefined;
}

/** Whether the machine has done all it can do without a restart, and its spec leaves the restart to Floe. */
export function awaitsReboot({ desired, own, machine }: Facts): boolean {
  const policy = machine.spec.activation?.reboot ?? 'Never';
  return policy !== 'Never' && desired?.go === true && desired.reboot !== true && own?.phase === 'RebootRequired';
}

/**
 * Whether the run waits for the restart of a machine: it comes as soon as there is a slot. A restart that waits for a
 * window does not keep a batch open, nor does a machine that nobody can reach.
 */
export function isRebootDue(facts: Facts, run: Run): boolean {
  const soon = facts.machine.spec.activation?.reboot === 'WhenRequired' && facts.online && facts.hold === undefined;
  return soon && goesOn(run) && awaitsReboot(facts);
}
