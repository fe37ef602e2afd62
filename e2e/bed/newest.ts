// Today's CustomResourceDefinition server beside a cluster's own old one, for CEL rules: same keys and users, other objects.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { artefacts } from './artefacts.ts';
import type { Cluster } from './cluster.ts';
import type { HostOptions } from './ensure-host.ts';
import { withHostLock } from './host-lock.ts';
import { cached, recipe } from './paths.ts';
import { step } from './progress.ts';
import { type RestAnswer, RestClient } from './rest-client.ts';
import { run } from './run.ts';
import { waitUntil } from './wait-until.ts';

const program = (): string => cached('newest', 'bin', 'apiextensions-apiserver');

/** Builds the server once, from Debian's rolling distribution: about 5 minutes and 2.5 GB meanwhile. */
export async function ensureNewest({ onProgress, signal }: HostOptions = {}): Promise<void> {
  await withHostLock(cached('newest.lock'), async () => {
    if (existsSync(program())) return;
    await step(
      onProgress,
      'newest',
      "today's API server for custom resources, from Debian sid (about 5 min, once)",
      (say) =>
        run([recipe('cluster', 'newest.sh'), cached('newest')], {
          onLine: say,
          timeoutSeconds: 3600,
          ...(signal ? { signal } : {}),
        }),
    );
  });
}

/** Knows CustomResourceDefinitions and their objects, in any namespace, and nothing else; ends with the cluster. */
export class NewestServer {
  /** For programs outside of the cluster's network. No kubectl: this server alone has no list of API groups, which kubectl asks for first. */
  readonly kubeconfig: string;
  readonly #client: RestClient;

  private constructor(kubeconfig: string, client: RestClient) {
    this.kubeconfig = kubeconfig;
    this.#client = client;
  }

  /** Starts it in a cluster that is up, which does authentication and authorization for it. */
  static async start(cluster: Cluster): Promise<NewestServer> {
    const { pki } = await artefacts();
    const admin = join(pki, 'admin.kubeconfig');
    const daemon = cluster.addDaemon('newest', [
      program(),
      '--etcd-servers=http://127.0.0.1:2379',
      '--etcd-prefix=/newest',
      '--secure-port=7443',
      '--bind-address=127.0.0.1',
      `--kubeconfig=${admin}`,
      `--authentication-kubeconfig=${admin}`,
      `--authorization-kubeconfig=${admin}`,
      `--client-ca-file=${join(pki, 'ca.crt')}`,
      `--tls-cert-file=${join(pki, 'apiserver.crt')}`,
      `--tls-private-key-file=${join(pki, 'apiserver.key')}`,
      '--enable-priority-and-fairness=false',
      '--disable-admission-plugins=ValidatingAdmissionPolicy,MutatingAdmissionPolicy,MutatingAdmissionWebhook,ValidatingAdmissionWebhook',
    ]);
    await daemon.start();
    const kubeconfig = await cluster.kubeconfigForHost('127.0.0.1', 7443);
    const server = new NewestServer(kubeconfig, await RestClient.open(kubeconfig));
    await waitUntil(async () => (await server.request('GET', '/readyz')).status === 200, {
      what: "today's API server",
      everySeconds: 0.3,
      explain: () => daemon.logTail(),
    });
    return server;
  }

  request(method: string, path: string, body?: object): Promise<RestAnswer> {
    return this.#client.request(method, path, body);
  }

  /** Creates CustomResourceDefinitions and waits until their objects can be made. Throws with the server's words where it refuses one. */
  async createDefinitions(definitions: readonly Definition[]): Promise<void> {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    for (const definition of definitions) {
      const { status, body } = await this.request('POST', path, definition);
      if (status !== 201) throw new Error(`${definition.metadata.name}: ${JSON.stringify(body)}`);
    }
    for (const { metadata, spec } of definitions) {
      const objects = `/apis/${spec.group}/${spec.versions[0]?.name}/${spec.names.plural}`;
      await waitUntil(async () => (await this.request('GET', objects)).status === 200, { what: metadata.name });
    }
  }
}

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}
