// The signing key of a namespace: read, or made on first use; never overwritten.
import { SIGNING_KEY_SECRET } from '@floe/crds/constants';
import { makeKeyPair, publicKeyOf } from '@floe/crds/nix-key';
import type { Secret } from '../kube/builtin.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../kube/error.ts';
import { secrets } from '../kube/resource.ts';
import type { Problem } from './source.ts';

export type SigningKey =
  | { readonly kind: 'key'; readonly publicKey: string; readonly made: boolean }
  | { readonly kind: 'problem'; readonly problem: Problem };

/** The public half of the namespace's key. A malformed Secret is left as it is and reported. */
export async function signingKey(
  namespace: string,
  { client, signal }: { readonly client: Pick<KubeClient, 'get' | 'create'>; readonly signal: AbortSignal },
): Promise<SigningKey> {
  const key = { namespace, name: SIGNING_KEY_SECRET };
  try {
    return check(await client.get(secrets, key, { signal }), false);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  const pair = makeKeyPair(`${namespace}-floe-1`);
  const secret: Secret = {
    apiVersion: secrets.apiVersion,
    kind: secrets.kind,
    metadata: { ...key, labels: { 'app.kubernetes.io/managed-by': 'floe' } },
    type: 'Opaque',
    data: { secret: base64(pair.secret), public: base64(pair.public) },
  };
  try {
    return check(await client.create(secrets, secret, { signal }), true);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    // Another config of the namespace was quicker: its key counts.
    return check(await client.get(secrets, key, { signal }), false);
  }
}

function check({ data }: Secret, made: boolean): SigningKey {
  const secret = Buffer.from(data?.['secret'] ?? '', 'base64')
    .toString()
    .trim();
  const publicKey = publicKeyOf(secret);
  if (publicKey !== undefined) return { kind: 'key', publicKey, made };
  const what = data?.['secret'] === undefined ? 'has no key `secret`' : 'holds no signing key of Nix under `secret`';
  return {
    kind: 'problem',
    problem: {
      reason: 'SigningKeyInvalid',
      field: `Secret ${SIGNING_KEY_SECRET}`,
      message: what,
      remedy:
        'write there what `nix key generate-secret --key-name NAME` prints, or delete the Secret to get a new one',
      transient: true,
    },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
