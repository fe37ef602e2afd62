// The connection of a pod, from its environment and the files of its service account.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Connection } from './connection.ts';

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Whether this process runs in a pod that knows its API server. */
export function isInCluster(env: NodeJS.ProcessEnv = process.env): boolean {
  return Boolean(env['KUBERNETES_SERVICE_HOST']);
}

/** Throws an Error that names the remedy when this is no pod, or one without a service account. */
export async function loadInCluster(
  options: { readonly env?: NodeJS.ProcessEnv; readonly folder?: string } = {},
): Promise<Connection> {
  const env = options.env ?? process.env;
  const folder = options.folder ?? FOLDER;
  const host = env['KUBERNETES_SERVICE_HOST'];
  if (!host) {
    throw new Error('not in a cluster: KUBERNETES_SERVICE_HOST is not set; give a kubeconfig file instead');
  }
  const read = async (file: string) => {
    try {
      return await readFile(join(folder, file), 'utf8');
    } catch (cause) {
      throw new Error(
        `cannot read ${join(folder, file)}; give the pod a service account and automountServiceAccountToken: true`,
        { cause },
      );
    }
  };
  const port = env['KUBERNETES_SERVICE_PORT'] || '443';
  return new Connection({
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: (await read('namespace').catch(() => 'default')).trim(),
    read: async () => ({
      tls: { ca: await read('ca.crt') },
      headers: { authorization: `Bearer ${(await read('token')).trim()}` },
    }),
  });
}
