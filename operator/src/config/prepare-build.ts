// Makes sure that a build can start: the namespace has a signing key, and the Secrets that the Job mounts are there.
import type { NixConfig } from '@floe/crds/nix-config';
import type { KubeClient } from '../kube/client.ts';
import { ownSecret } from './own-secret.ts';
import type { ReadSecret } from './resolve-source.ts';
import { signingKey } from './signing-key.ts';
import type { Preparation } from './snapshot.ts';

export type PreparePorts = {
  readonly client: Pick<KubeClient, 'get' | 'create'>;
  readonly readSecret: ReadSecret;
  readonly signal: AbortSignal;
};

/** Ready, or what is missing. `made` says that the signing key is new. */
export async function prepareBuild(
  { spec, metadata }: NixConfig,
  ports: PreparePorts,
): Promise<{ preparation: Exclude<Preparation, { kind: 'unknown' }>; made: boolean }> {
  const namespace = metadata.namespace ?? 'default';
  // First: people need its public half for their machines before anything can be built.
  const key = await signingKey(namespace, ports);
  if (key.kind === 'problem') return { preparation: key, made: false };
  const { publicKey, made } = key;
  const named = [
    ['spec.source.git.secretRef.name', spec.source.git?.secretRef?.name],
    ['spec.source.inputsSecretRef.name', spec.source.inputsSecretRef?.name],
  ] as const;
  for (const [field, name] of named) {
    const own = ownSecret(field, name);
    if (own !== undefined) return { preparation: { kind: 'problem', problem: own }, made: false };
    // A pod that mounts a missing Secret waits without a word.
    if (name === undefined || (await ports.readSecret(namespace, name, ports.signal)) !== undefined) continue;
    const problem = {
      reason: 'SecretMissing',
      field,
      message: `there is no Secret ${name} in namespace ${namespace}`,
      remedy: 'create it, or correct the name',
      transient: true,
    };
    return { preparation: { kind: 'problem', problem, publicKey }, made };
  }
  return { preparation: { kind: 'ready', publicKey }, made };
}
