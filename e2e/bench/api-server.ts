// The API server as the bench uses it: a client, and what the server counts itself.
import { KubeClient as Client, type KubeClient } from '@floe/operator/kube/client';
import type { Connection } from '@floe/operator/kube/connection';
import { loadKubeConfig } from '@floe/operator/kube/kube-config';
import { readMetrics, type Sample, sumOf } from './metrics-text.ts';

const REQUESTS = 'apiserver_request_total';
const WATCHES = 'apiserver_registered_watchers';
const STATUS_PATCHES = { resource: 'nixmachines', subresource: 'status', verb: 'PATCH' };

/** What the server has counted so far. */
export type Counted = {
  /** PATCHes of nixmachines/status, whatever the answer. */
  readonly patches: number;
  /** Those that were answered 409. */
  readonly conflicts: number;
  /** Watches that are open on NixMachines now. */
  readonly watches: number;
};

export class ApiServer {
  readonly client: KubeClient;
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    this.client = new Client(connection, { timeoutSeconds: 60 });
  }

  static async open(kubeconfig: string): Promise<ApiServer> {
    return new ApiServer(await loadKubeConfig({ file: kubeconfig }));
  }

  /** Reads the server's own counters. */
  async counted(signal: AbortSignal): Promise<Counted> {
    const samples = await this.#metrics(signal);
    return {
      patches: sumOf(samples, REQUESTS, STATUS_PATCHES),
      conflicts: sumOf(samples, REQUESTS, { ...STATUS_PATCHES, code: '409' }),
      watches: sumOf(samples, WATCHES, { kind: 'NixMachine' }),
    };
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  async #metrics(signal: AbortSignal): Promise<Sample[]> {
    const { pool, headers } = await this.#connection.open('requests');
    const limit = AbortSignal.any([signal, AbortSignal.timeout(30_000)]);
    const { origin } = new URL(this.#connection.server);
    const answer = await pool.request({ origin, path: '/metrics', method: 'GET', headers, signal: limit });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`/metrics of the API server answers ${answer.statusCode}`);
    return readMetrics(text, [REQUESTS, WATCHES]);
  }
}
