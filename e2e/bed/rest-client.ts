// Plain requests to an API server with the keys of a kubeconfig, for what kubectl cannot say.
import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { parse } from 'yaml';

class StaleConnection extends Error {}

export interface RestAnswer {
  readonly status: number;
  /** Parsed where it is JSON, else text. */
  readonly body: unknown;
}

interface KubeConfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
  }[];
  readonly users: readonly {
    readonly user: { readonly 'client-certificate-data': string; readonly 'client-key-data': string };
  }[];
}

/** Asks one API server; its connections are kept for the next request. */
export class RestClient {
  readonly #server: string;
  readonly #agent: Agent;

  private constructor(server: string, agent: Agent) {
    this.#server = server;
    this.#agent = agent;
  }

  /** Reads server and keys from a kubeconfig. */
  static async open(kubeconfig: string): Promise<RestClient> {
    const { clusters, users } = parse(await readFile(kubeconfig, 'utf8')) as KubeConfig;
    const cluster = clusters[0]?.cluster;
    const user = users[0]?.user;
    if (!cluster || !user) throw new Error(`${kubeconfig}: no cluster or no user in it`);
    const decode = (text: string): Buffer => Buffer.from(text, 'base64');
    const agent = new Agent({
      keepAlive: true,
      ca: decode(cluster['certificate-authority-data']),
      cert: decode(user['client-certificate-data']),
      key: decode(user['client-key-data']),
    });
    return new RestClient(cluster.server, agent);
  }

  /** Sends one request; every status is an answer. The body of a PATCH is a merge patch, or a list of the operations of a JSON patch. Throws when there is no answer within 30 s. */
  async request(method: string, path: string, body?: object): Promise<RestAnswer> {
    const ask = (): Promise<RestAnswer> => this.#ask(method, path, body);
    return ask().catch((error: unknown) => {
      // The server had ended a connection that was kept: it never saw the request.
      if (error instanceof StaleConnection) return ask();
      throw error;
    });
  }

  #ask(method: string, path: string, body?: object): Promise<RestAnswer> {
    const patch = Array.isArray(body) ? 'application/json-patch+json' : 'application/merge-patch+json';
    const contentType = method === 'PATCH' ? patch : 'application/json';
    return new Promise((resolve, reject) => {
      const sent = httpsRequest(
        `${this.#server}${path}`,
        { method, agent: this.#agent, timeout: 30_000, headers: { 'content-type': contentType } },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            text += chunk;
          });
          answer.on('error', reject);
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: parseJson(text) }));
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path}: no answer within 30 s`)));
      sent.on('error', (error: NodeJS.ErrnoException) => {
        const stale = sent.reusedSocket && error.code === 'ECONNRESET';
        reject(stale ? new StaleConnection(`${method} ${path}`, { cause: error }) : error);
      });
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
