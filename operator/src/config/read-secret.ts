// Reads a Secret's values, for the programs that look at sources.
import type { KubeClient } from '../kube/client.ts';
import { isNotFound } from '../kube/error.ts';
import { secrets } from '../kube/resource.ts';
import type { ReadSecret } from './resolve-source.ts';

/** Reads from the API server each time: credentials are kept nowhere. */
export function secretReader(client: Pick<KubeClient, 'get'>): ReadSecret {
  return async (namespace, name, signal) => {
    try {
      const { data = {} } = await client.get(secrets, { namespace, name }, { signal });
      return Object.fromEntries(
        Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
}
