// Which refusals of a machine are the same news, so that each is told at its object once in a while.
import type { NixMachine } from '@floe/crds/nix-machine';
import { keyOf } from '../kube/object.ts';
import type { Refusal } from './admission.ts';

/** Reasons whose text says which token or key it was. It comes from what people made, so that strangers can't vary it. */
const BY_MESSAGE: readonly string[] = ['BadToken', 'PendingApproval'];

/** Equal for what need not be told twice; an object that was made anew under its name is another one. */
export function refusalSubject(machine: NixMachine, { reason, message }: Pick<Refusal, 'reason' | 'message'>): string {
  const about = `${machine.metadata.uid ?? keyOf(machine)} ${reason}`;
  return BY_MESSAGE.includes(reason) ? `${about} ${message}` : about;
}
