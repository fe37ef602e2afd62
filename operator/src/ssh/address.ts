// Where a machine is reached by SSH, by which host key it is known and with which key Floe logs in; or why it can't be visited.
import type { NixMachine } from '@floe/crds/nix-machine';
import { duplicateKeyMessage, keeperOfKey, keyOfMachine } from '../conditions/identity.ts';
import { sshFault, sshTargetOf } from '../conditions/ssh-target.ts';
import type { ReadSecretData } from '../hub/secret-store.ts';
import type { Address } from './connection.ts';
import { NoVisit } from './visit-failure.ts';

export type AddressPorts = {
  readonly machines: { by(index: 'sshHostKey', value: string): NixMachine[] };
  readonly readSecret: ReadSecretData;
};

/** Rejects with NoVisit where the spec, the other machines or the Secret do not allow a visit. */
export async function addressOf(
  machine: NixMachine,
  { machines, readSecret }: AddressPorts,
  signal: AbortSignal,
): Promise<Address> {
  const target = sshTargetOf(machine);
  const hostKey = keyOfMachine(machine);
  const fault = sshFault(machine);
  if (target === undefined || hostKey === undefined || fault !== undefined) {
    throw new NoVisit('InvalidSpec', fault ?? 'the machine is not reached by SSH');
  }
  const keeper = keeperOfKey(machine, machines.by('sshHostKey', hostKey));
  if (keeper !== undefined) throw new NoVisit('DuplicateKey', duplicateKeyMessage(machine, keeper));
  const { name, key = 'privateKey' } = target.secretRef;
  const namespace = machine.metadata.namespace ?? '';
  const data = await readSecret(namespace, name, signal);
  if (data === 'forbidden')
    throw new NoVisit('NoPrivateKey', `Secret ${namespace}/${name} may not be read: allow it to the operator`);
  const privateKey = data?.[key]?.toString('utf8');
  if (privateKey === undefined) {
    throw new NoVisit('NoPrivateKey', `Secret ${namespace}/${name} has no ${key}: put the private key there`);
  }
  const { host, port = 22, user = 'root' } = target;
  return { host, port, user, hostKey, privateKey };
}
