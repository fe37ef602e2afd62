// Today's CustomResourceDefinition server beside a cluster's own old one, for CEL rules: same keys and users, other objects.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { artefacts } from './artefacts.ts';
import type { Cluster } from './cluster.ts';
import type { HostOptions } from './ensure-host.ts';
import { withHostLock } from './host-lock.ts';
import { cached, recipe } from './paths.ts';
import { step } from './progress.ts';
import { type RunOptions, run } from './run.ts';
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

/** Knows CustomResourceDefinitions and their objects, and nothing else: no namespaces, no pods. Ends with the cluster. */
export class NewestServer {
  readonly #cluster: Cluster;
  readonly #kubectl: string;
  /** For whoever is in the cluster's network. */
  readonly kubeconfig: string;

  private constructor(cluster: Cluster, kubectl: string) {
    this.#cluster = cluster;
    this.#kubectl = kubectl;
    this.kubeconfig = join(cluster.dir, 'newest.kubeconfig');
  }

  /** Starts it in a cluster that is up, which does authentication and authorization for it. */
  static async start(cluster: Cluster): Promise<NewestServer> {
    const made = await artefacts();
    const server = new NewestServer(cluster, join(made.tools, 'kubectl'));
    const admin = join(made.pki, 'admin.kubeconfig');
    const config = await readFile(admin, 'utf8');
    await writeFile(server.kubeconfig, config.replace('https://10.250.0.1:6443', 'https://127.0.0.1:7443'), {
      mode: 0o600,
    });
    const daemon = cluster.addDaemon('newest', [
      program(),
      '--etcd-servers=http://127.0.0.1:2379',
      '--etcd-prefix=/newest',
      '--secure-port=7443',
      '--bind-address=127.0.0.1',
      `--kubeconfig=${admin}`,
      `--authentication-kubeconfig=${admin}`,
      `--authorization-kubeconfig=${admin}`,
      `--client-ca-file=${join(made.pki, 'ca.crt')}`,
      `--tls-cert-file=${join(made.pki, 'apiserver.crt')}`,
      `--tls-private-key-file=${join(made.pki, 'apiserver.key')}`,
      '--enable-priority-and-fairness=false',
      '--disable-admission-plugins=ValidatingAdmissionPolicy,MutatingAdmissionPolicy,MutatingAdmissionWebhook,ValidatingAdmissionWebhook',
    ]);
    await daemon.start();
    await waitUntil(() => server.kubectl(['get', 'customresourcedefinitions']).then(() => true), {
      what: "today's API server",
      everySeconds: 0.3,
      explain: () => daemon.logTail(),
    });
    return server;
  }

  /** `apply` needs `--validate=false`: this server has no OpenAPI for kubectl to read. It validates by itself all the same. */
  async kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(await this.#cluster.enter([this.#kubectl, '--kubeconfig', this.kubeconfig, ...args]), options);
  }
}
