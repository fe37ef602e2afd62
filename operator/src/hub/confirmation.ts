// Answers a machine that confirms: from the store where that says yes, from the API server itself before it says no.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Confirm, Confirmed, Denied } from '@floe/crds/protocol';
import { isNotFound } from '../kube/error.ts';
import type { Refusal } from './admission.ts';
import { notReady } from './session.ts';
import { judge } from './verdict.ts';

export type ConfirmationPorts = {
  readonly machines: { get(key: string): NixMachine | undefined };
  /** Whether the machine may be read once more: what one asks in a row costs the API server little. */
  readonly mayRead?: () => boolean;
  /** Reads a machine from the API server itself and brings the store forward; bounded in time. */
  readonly readMachine: (key: string) => Promise<NixMachine>;
};

/**
 * The answer to a confirmation. An outage of the API server undoes no good change: what the store confirms needs no
 * request. The watch of this replica may be behind that of the one that gave the order, so what the store denies is
 * looked up; where that fails the question stays open, and the machine asks again. Never rejects.
 */
export async function answerConfirmation(
  key: string,
  confirm: Confirm,
  { machines, mayRead, readMachine }: ConfirmationPorts,
): Promise<Confirmed | Denied | (Refusal & { readonly cause: unknown })> {
  const verdict = judge(machines.get(key), confirm);
  if (verdict.type === 'confirmed') return verdict;
  if (mayRead?.() === false) {
    const refusal = notReady('this machine asks too often for what this replica does not know');
    return { ...refusal, retryAfterSeconds: 5, cause: undefined };
  }
  try {
    return judge(await readMachine(key), confirm);
  } catch (cause) {
    if (isNotFound(cause)) return judge(undefined, confirm);
    return { ...notReady('the API server does not answer, and this replica does not know the order'), cause };
  }
}
