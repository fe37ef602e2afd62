// Whether an attempt may be kept: the answer to a machine that confirms, from what the hub knows alone.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Confirm, Confirmed, Denied } from '@floe/crds/protocol';

/**
 * Judges a confirmation: only what is still desired is confirmed. A hold, or an order that is to fetch only by now, does
 * not count: the machine has switched already, an attempt that is denied is never begun again, and a hold that moved a
 * machine back would be the opposite of leaving it alone.
 */
export function judge(machine: NixMachine | undefined, confirm: Confirm): Confirmed | Denied {
  const deny = (reason: string, message: string): Denied => ({
    type: 'denied',
    attempt: confirm.attempt,
    reason,
    message,
  });
  const desired = machine?.status?.desired;
  if (machine === undefined) return deny('UnknownMachine', 'the NixMachine was deleted');
  if (desired === undefined) return deny('NotDesired', 'nothing is desired of this machine');
  if (desired.id !== confirm.attempt) {
    return deny('Superseded', `the order is now ${desired.id} (revision ${desired.revision})`);
  }
  if (desired.closure !== confirm.closure) {
    return deny('OtherClosure', `order ${desired.id} is for ${desired.closure}, not for ${confirm.closure}`);
  }
  return { type: 'confirmed', attempt: confirm.attempt };
}
