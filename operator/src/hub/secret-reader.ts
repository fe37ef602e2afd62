// Reads the values of one Secret from the API server, by name.
import type { KubeClient } from '../kube/client.ts';
import { isNotFound, KubeError } from '../kube/error.ts';
import { secrets } from '../kube/resource.ts';
import type { ReadSecretData } from './secret-store.ts';

/** Reads each time: contents are kept nowhere. */
export function secretReader(client: Pick<KubeClient, 'get'>): ReadSecretData {
  return async (namespace, name, signal) => {
    try {
      const { data = {} } = await client.get(secrets, { namespace, name }, { signal });
      return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      if (error instanceof KubeError && error.status === 403) return 'forbidden';
      throw error;
    }
  };
}
