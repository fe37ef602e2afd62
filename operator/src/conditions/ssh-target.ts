// Which machines the operator reaches by SSH, and what such a machine can't have. Pure.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { SshTarget } from '@floe/crds/target';
import { keyOfMachine } from './identity.ts';
import { specOf } from './standing.ts';

/** How the operator reaches the machine; undefined where its agent does that. */
export function sshTargetOf(machine: NixMachine): SshTarget | undefined {
  return specOf(machine).target?.ssh;
}

/** What the machine's spec asks for that needs an agent, in words: the CEL rules once more, for API servers without CEL. */
export function sshFault(machine: NixMachine): string | undefined {
  const { target, secrets = [], activation = {} } = specOf(machine);
  if (target?.agent !== undefined && target.ssh !== undefined) return 'spec.target: set exactly one of agent, ssh';
  if (target?.ssh === undefined) return undefined;
  if (keyOfMachine(machine) === undefined) {
    return 'target ssh needs identity.sshHostKey: set it to /etc/ssh/ssh_host_ed25519_key.pub of the machine';
  }
  const { reboot = 'Never', drift = 'Report', consent = 'None', confirm = 'Required' } = activation;
  const asked: readonly (readonly [boolean, string])[] = [
    [secrets.length > 0, 'secrets'],
    [reboot !== 'Never', `activation.reboot: ${reboot}`],
    [drift !== 'Report', `activation.drift: ${drift}`],
    [consent !== 'None', `activation.consent: ${consent}`],
    [confirm !== 'Required', `activation.confirm: ${confirm}`],
    [activation.generations !== undefined, 'activation.generations'],
    [(activation.healthChecks ?? []).some((check) => check.named !== undefined), 'a health check by name'],
  ];
  const needing = asked.find(([isAsked]) => isAsked)?.[1];
  return needing === undefined ? undefined : `spec.${needing} needs an agent: remove it, or use target agent`;
}
