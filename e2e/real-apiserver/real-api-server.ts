// A real kube-apiserver over a real etcd, on loopback ports of its own, without nodes or controllers: for tests of the
// API machinery that a fake cannot answer. Needs `kube-apiserver` (made by e2e/cluster) and `etcd` (Debian's).
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KubeClient } from '@floe/operator/kube/client';
import { Connection } from '@floe/operator/kube/connection';
import { generate } from 'selfsigned';

const TOKEN = 'token-of-the-test';

export class RealApiServer {
  readonly #folder: string;
  readonly #certificate: string;
  readonly #port: number;
  readonly #etcdPorts: readonly [number, number];
  readonly #clients: KubeClient[] = [];
  #etcd: ChildProcess | undefined;
  #server: ChildProcess | undefined;

  constructor(folder: string, certificate: string, ports: readonly [number, number, number]) {
    this.#folder = folder;
    this.#certificate = certificate;
    this.#port = ports[0];
    this.#etcdPorts = [ports[1], ports[2]];
  }

  /** Where the binary of the API server is; $KUBE_APISERVER, else that of the test bed. */
  static get binary(): string {
    const cache = process.env['FLOE_CACHE'] ?? join(homedir(), '.cache', 'floe');
    return process.env['KUBE_APISERVER'] ?? join(cache, 'cluster', 'bin', 'kube-apiserver');
  }

  static get isAvailable(): boolean {
    return existsSync(RealApiServer.binary) && existsSync('/usr/bin/etcd');
  }

  /** Starts both, with an empty state. */
  static async start(): Promise<RealApiServer> {
    const folder = await mkdtemp(join(tmpdir(), 'floe-apiserver-'));
    const pems = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
      ],
    });
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    await writeFile(join(folder, 'tls.crt'), pems.cert);
    await writeFile(join(folder, 'tls.key'), pems.private);
    await writeFile(join(folder, 'sa.key'), keys.privateKey);
    await writeFile(join(folder, 'sa.pub'), keys.publicKey);
    await writeFile(join(folder, 'tokens.csv'), `${TOKEN},admin,1,"system:masters"\n`);
    const api = new RealApiServer(folder, pems.cert, [await freePort(), await freePort(), await freePort()]);
    try {
      await api.startEtcd();
      await api.startServer();
    } catch (error) {
      await api.close();
      throw error;
    }
    return api;
  }

  /** A client with all rights; closed with the server. */
  client(): KubeClient {
    const credentials = { tls: { ca: this.#certificate }, headers: { authorization: `Bearer ${TOKEN}` } };
    const client = new KubeClient(
      new Connection({ server: this.#url, namespace: 'default', read: () => Promise.resolve(credentials) }),
    );
    this.#clients.push(client);
    return client;
  }

  /** Writes a kubeconfig with all rights, for programs of their own; returns where it is. */
  async kubeconfig(): Promise<string> {
    const file = join(this.#folder, 'kubeconfig');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [
        { name: 'test', cluster: { server: this.#url, 'certificate-authority': join(this.#folder, 'tls.crt') } },
      ],
      users: [{ name: 'admin', user: { token: TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    };
    await writeFile(file, JSON.stringify(config), { mode: 0o600 });
    return file;
  }

  /** Folder of its files, removed with it. */
  get folder(): string {
    return this.#folder;
  }

  async startEtcd(): Promise<void> {
    const [client, peer] = this.#etcdPorts.map((port) => `http://127.0.0.1:${port}`);
    this.#etcd = await this.#spawn('etcd', '/usr/bin/etcd', [
      `--data-dir=${join(this.#folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
    ]);
    await until('etcd', async () => (await fetch(`${client}/health`)).ok);
  }

  async startServer(): Promise<void> {
    const file = (name: string) => join(this.#folder, name);
    this.#server = await this.#spawn('kube-apiserver', RealApiServer.binary, [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPorts[0]}`,
      `--secure-port=${this.#port}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=10.0.0.1',
      `--tls-cert-file=${file('tls.crt')}`,
      `--tls-private-key-file=${file('tls.key')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      `--service-account-key-file=${file('sa.pub')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
    ]);
    const client = this.client();
    const namespaces = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };
    await until('kube-apiserver', async () => {
      await client.get(namespaces, { name: 'default' }, { signal: AbortSignal.timeout(2000) });
      return true;
    });
  }

  /** Ends the API server: SIGTERM lets it end its watches in good order, SIGKILL does not. */
  async stopServer(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await stop(this.#server, signal);
    this.#server = undefined;
  }

  async stopEtcd(): Promise<void> {
    await stop(this.#etcd, 'SIGTERM');
    this.#etcd = undefined;
  }

  /** Stops the API server without ending it: connections stay open and are silent. */
  freeze(): void {
    this.#server?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#server?.kill('SIGCONT');
  }

  /** Copies the data of etcd, which must be stopped. */
  async saveEtcd(): Promise<void> {
    await cp(join(this.#folder, 'etcd'), join(this.#folder, 'etcd.saved'), { recursive: true });
  }

  /** Brings back the data of `saveEtcd`; etcd must be stopped. */
  async restoreEtcd(): Promise<void> {
    await rm(join(this.#folder, 'etcd'), { recursive: true });
    await cp(join(this.#folder, 'etcd.saved'), join(this.#folder, 'etcd'), { recursive: true });
  }

  /** Lets etcd forget its history, after a write that nobody watches: versions of before are too old then. */
  async compactEtcd(): Promise<void> {
    const post = async (path: string, body: object) => {
      const url = `http://127.0.0.1:${this.#etcdPorts[0]}/v3/kv/${path}`;
      const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
      return (await answer.json()) as { header: { revision: string } };
    };
    const { header } = await post('put', { key: btoa('/floe-test'), value: '' });
    await post('compaction', { revision: header.revision, physical: true });
  }

  /** Ends everything and removes all files. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    this.thaw();
    await stop(this.#server, 'SIGKILL');
    await stop(this.#etcd, 'SIGKILL');
    await rm(this.#folder, { recursive: true });
  }

  get #url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  async #spawn(name: string, command: string, args: string[]): Promise<ChildProcess> {
    const log = await open(join(this.#folder, `${name}.log`), 'a');
    try {
      return spawn(command, args, { cwd: this.#folder, stdio: ['ignore', log.fd, log.fd] });
    } finally {
      await log.close();
    }
  }
}

async function stop(child: ChildProcess | undefined, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 90_000;
  let last: unknown;
  while (performance.now() < end) {
    try {
      if (await check()) {
        return;
      }
    } catch (error) {
      last = error;
    }
    await sleep(100);
  }
  throw new Error(`${what} did not start within 90 s`, { cause: last });
}

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
