// Resolves the source of a NixConfig, whichever kind it is, with the Secret that it names.
import type { NixConfigSpec } from '@floe/crds/nix-config';
import type { LookPorts } from './ask-program.ts';
import type { SecretValues } from './git-credentials.ts';
import { ownSecret } from './own-secret.ts';
import type { Resolution } from './source.ts';
import { resolveFlake } from './source-flake.ts';
import { resolveGit } from './source-git.ts';
import { resolveInline } from './source-inline.ts';

/** Reads a Secret, decoded; undefined when there is none. */
export type ReadSecret = (namespace: string, name: string, signal: AbortSignal) => Promise<SecretValues | undefined>;

/** What the source means now; every expected failure is a `problem`. */
export async function resolveSource(
  { source }: NixConfigSpec,
  namespace: string,
  ports: LookPorts & { readonly readSecret: ReadSecret },
): Promise<Resolution> {
  if (source.inline !== undefined) return resolveInline(source.inline.files);
  const [field, name] =
    source.git !== undefined
      ? ['spec.source.git.secretRef', source.git.secretRef?.name]
      : ['spec.source.inputsSecretRef', source.inputsSecretRef?.name];
  const own = ownSecret(`${field}.name`, name);
  if (own !== undefined) return { kind: 'problem', problem: own };
  const secret = name === undefined ? undefined : await ports.readSecret(namespace, name, ports.signal);
  if (name !== undefined && secret === undefined) {
    const problem = {
      reason: 'SecretMissing',
      field: `${field}.name`,
      message: `there is no Secret ${name} in namespace ${namespace}`,
      remedy: 'create it, or correct the name',
      transient: true,
    };
    return { kind: 'problem', problem };
  }
  if (source.git !== undefined) return resolveGit(source.git, secret, ports);
  return resolveFlake(source.flake ?? '', secret, { ...ports, run: ports.runNix ?? ports.run });
}
