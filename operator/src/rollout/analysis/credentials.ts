// Reads the Secret that a metric names, and makes headers and TLS settings of it. Nothing of it is kept.

import { CACHE_SECRET, SIGNING_KEY_SECRET } from '@floe/crds/constants';
import type { KubeClient } from '../../kube/client.ts';
import { isNotFound } from '../../kube/error.ts';
import { secrets } from '../../kube/resource.ts';
import { MeasurementError } from './measurement-error.ts';

export type Credentials = {
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string | undefined;
  /** Values that no message may show. */
  readonly hidden: readonly string[];
};

export const NO_CREDENTIALS: Credentials = { headers: {}, ca: undefined, hidden: [] };

/** Reads a Secret of the namespace. Throws MeasurementError where there is none, or where it is not meant for this. */
export async function credentialsOf(
  ref: { readonly name: string } | undefined,
  namespace: string,
  { client, signal }: { client: Pick<KubeClient, 'get'>; signal: AbortSignal },
): Promise<Credentials> {
  if (ref === undefined) return NO_CREDENTIALS;
  const secret = await client.get(secrets, { namespace, name: ref.name }, { signal }).catch((cause: unknown) => {
    if (isNotFound(cause)) throw new MeasurementError(`there is no Secret ${ref.name}; create it or correct secretRef`);
    throw cause;
  });
  const isFloes = ref.name === SIGNING_KEY_SECRET || ref.name === CACHE_SECRET;
  if (isFloes || secret.type === 'kubernetes.io/service-account-token') {
    throw new MeasurementError(`the Secret ${ref.name} may not be sent to a server; name another one in secretRef`);
  }
  const value = (key: string): string | undefined => {
    const data = secret.data?.[key];
    return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8').trim();
  };
  const [token, username, password] = [value('token'), value('username'), value('password')];
  const basic =
    username === undefined ? undefined : Buffer.from(`${username}:${password ?? ''}`, 'utf8').toString('base64');
  const authorization = token === undefined ? basic && `Basic ${basic}` : `Bearer ${token}`;
  return {
    headers: authorization === undefined ? {} : { authorization },
    ca: value('ca.crt'),
    hidden: [token, password, basic].filter((text) => text !== undefined && text.length > 3).map(String),
  };
}
