// Whether an attempt may be kept: the answer to a machine that confirms, from what the hub knows alone.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Confirm, Confirmed, Denied } from '@floe/crds/protocol';
import { isHeld } from '../conditions/standing.ts';
import { heldMessage } from '../conditions/wording.ts';

/** Judges a confirmation: only what is still desired is confirmed. */
export function judge(machine: NixMachine | undefined, confirm: Confirm, now: Date): Confirmed | Denied {
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
  if (!desired.go) return deny('Withdrawn', `order ${desired.id} is to fetch only`);
  if (isHeld(machine, now)) return deny('OnHold', heldMessage(machine).slice(0, 1024));
  return { type: 'confirmed', attempt: confirm.attempt };
}
