// Reads join tokens and counts their uses at the API server, each call bounded in time.

import type { KubeClient } from '../kube/client.ts';
import { withDeadline } from '../kube/deadline.ts';
import { configMaps, secrets } from '../kube/resource.ts';
import type { JoinApi } from './join.ts';

/** Seconds for one request; a hello as a whole has 15. */
const SECONDS = 3;

export function joinApi(client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>, signal: AbortSignal): JoinApi {
  const within = <T>(run: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> =>
    withDeadline(signal, SECONDS, (deadline) => run({ signal: deadline.signal }));
  return {
    secret: (key) => within((options) => client.get(secrets, key, options)),
    configMap: (key) => within((options) => client.get(configMaps, key, options)),
    create: (counter) => within((options) => client.create(configMaps, counter, options)),
    count: (key, { resourceVersion, used }) => {
      const metadata = resourceVersion === undefined ? {} : { resourceVersion };
      return within((options) => client.mergePatch(configMaps, key, { metadata, data: { used: `${used}` } }, options));
    },
  };
}
