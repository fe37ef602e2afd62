// The connection that a kubeconfig file describes: any kind of user that client-node's KubeConfig understands.
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Connection, type Credentials } from './connection.ts';

/** Throws an Error that names the remedy when the file, or its current context, is of no use. */
export async function loadKubeConfig(
  options: { readonly file?: string | undefined; readonly context?: string | undefined } = {},
): Promise<Connection> {
  // Loaded on demand: a pod needs none of it, and it takes 100 ms and 40 MB.
  const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
  const load = (): KubeConfig => {
    const config = new KubeConfig();
    if (options.file === undefined) {
      config.loadFromDefault();
    } else {
      config.loadFromFile(options.file);
    }
    if (options.context !== undefined) {
      config.setCurrentContext(options.context);
    }
    return config;
  };
  let config = loadOrExplain(load, options.file);
  const cluster = config.getCurrentCluster();
  const context = config.getContextObject(config.getCurrentContext());
  if (cluster === null || context === null) {
    throw new Error(
      `the kubeconfig has no usable context ${config.getCurrentContext() ?? ''}; choose one with kubectl config use-context`,
    );
  }
  return new Connection({
    server: cluster.server,
    namespace: context.namespace ?? 'default',
    proxy: cluster.proxyUrl,
    read: (refused) => {
      if (refused) {
        // A new object forgets the tokens that plug-ins gave the old one.
        config = load();
      }
      return readCredentials(config);
    },
  });
}

function loadOrExplain(load: () => KubeConfig, file: string | undefined): KubeConfig {
  try {
    return load();
  } catch (cause) {
    const which = file ?? process.env['KUBECONFIG'] ?? '~/.kube/config';
    throw new Error(`cannot read the kubeconfig ${which}: ${cause}; name one that kubectl understands`, { cause });
  }
}

async function readCredentials(config: KubeConfig): Promise<Credentials> {
  if (config.getCurrentCluster()?.server.startsWith('http:')) {
    // As for kubectl proxy: nothing secret goes over a connection that anybody can read.
    return { tls: {}, headers: {} };
  }
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    headers[name.toLowerCase()] = String(value);
  }
  if (typeof options.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(options.auth).toString('base64')}`;
  }
  return {
    tls: {
      ...pem('ca', options.ca),
      ...pem('cert', options.cert),
      ...pem('key', options.key),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
      ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
    },
    headers,
  };
}

function pem<K extends string>(name: K, value: unknown): { [key in K]?: string } {
  return value === undefined || value === null ? {} : ({ [name]: String(value) } as { [key in K]: string });
}
