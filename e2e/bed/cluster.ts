// A real Kubernetes cluster of one node on this host, with a network of its own; any number of them run side by side.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artefacts, artefacts } from './artefacts.ts';
import { favour, makeCgroup } from './cgroups.ts';
import { ContainerdRoot } from './containerd-root.ts';
import {
  COLLECTS_LATE,
  commands,
  containerdSocket,
  nodeAddress,
  type ProgramName,
  RECORDS_FILE,
  writeConfiguration,
} from './control-plane.ts';
import { Daemon } from './daemon.ts';
import { type Depth, Enclosure } from './enclosure.ts';
import { archive, type Image } from './image-layout.ts';
import { pauseImageOf } from './images.ts';
import { Machines } from './machines.ts';
import { NetworkFaults } from './network-fault.ts';
import { cached } from './paths.ts';
import { PortForwards } from './port-forward.ts';
import { type OnProgress, step } from './progress.ts';
import { RestClient } from './rest-client.ts';
import { type RunOptions, type RunResult, run, tryRun } from './run.ts';
import { Sources } from './sources.ts';
import { waitUntil } from './wait-until.ts';

/** The API server is waited for by all others: what machines and pods do side by side may take longer, what it does may not. */
const FAVOUR = 4;

export interface ClusterOptions {
  /** Lower-case letters, digits and `-`, at most 20. Clusters of different names share nothing but the cache. */
  readonly name: string;
  /** Ends with this process, even when it is killed. Not for a cluster that shall be kept. Default false. */
  readonly endsWithParent?: boolean;
  readonly apiServerFlags?: readonly string[];
}

export interface UpOptions {
  /** Loaded before the first pod can start, and kept for the next `up` of the same name. */
  readonly images?: readonly Image[];
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export class Cluster {
  readonly name: string;
  /** Everything of this cluster lies here: logs in `log/`. */
  readonly dir: string;
  readonly machines: Machines;
  readonly forwards: PortForwards;
  readonly network: NetworkFaults;
  /** Git repositories that pods can reach. */
  readonly sources: Sources;
  readonly #enclosure: Enclosure;
  readonly #daemons: Readonly<Record<ProgramName, Daemon>>;
  readonly #made: Artefacts;
  readonly #options: ClusterOptions;
  #api: Promise<RestClient> | undefined;

  private constructor(options: ClusterOptions, made: Artefacts) {
    this.name = options.name;
    this.dir = cached('clusters', options.name);
    this.#options = options;
    this.#made = made;
    this.#enclosure = new Enclosure({
      dir: this.dir,
      cgroup: this.#cgroup,
      endsWithParent: options.endsWithParent ?? false,
    });
    const all = Object.entries(commands(this.#plan())).map(([name, command]) => [
      name,
      this.addDaemon(name, [...COLLECTS_LATE, ...command]),
    ]);
    this.#daemons = Object.fromEntries(all) as Record<ProgramName, Daemon>;
    this.machines = new Machines({
      dir: this.dir,
      cgroup: this.#cgroup,
      tree: made.machineTree,
      enclosure: this.#enclosure,
    });
    this.forwards = new PortForwards(this.dir, this.#enclosure);
    this.network = new NetworkFaults(this.#enclosure);
    this.sources = new Sources(this.dir, this.#enclosure);
  }

  /** The cluster of that name, running or not. `ensureHost` must have been called once. */
  static async open(options: ClusterOptions): Promise<Cluster> {
    if (!/^[a-z0-9][a-z0-9-]{0,19}$/.test(options.name)) {
      throw new Error(`cluster name "${options.name}": use 1 to 20 lower-case letters, digits and "-"`);
    }
    return new Cluster(options, await artefacts());
  }

  /** Works for whoever is in the cluster's network: `exec(['kubectl', …])` knows it already. */
  get kubeconfig(): string {
    return join(this.#made.pki, 'admin.kubeconfig');
  }

  /** A kubeconfig for programs outside of the cluster's network, while this process runs; by default for its API server. */
  async kubeconfigForHost(host = nodeAddress, port = 6443): Promise<string> {
    const outside = await this.forwards.open(host, port);
    const file = join(this.dir, `host-${outside}.kubeconfig`);
    const inside = await readFile(this.kubeconfig, 'utf8');
    await writeFile(file, inside.replace(/https:\/\/[0-9.:]+/, `https://127.0.0.1:${outside}`), { mode: 0o600 });
    return file;
  }

  isUp(): Promise<boolean> {
    return this.#enclosure.isRunning();
  }

  /** Starts an empty cluster and returns when its node is ready. Whatever an earlier run of this name left is removed first. */
  async up(options: UpOptions = {}): Promise<void> {
    const { onProgress } = options;
    await step(onProgress, 'cluster', `Kubernetes ${this.name}: API server, controllers, node`, async (say) => {
      await this.down();
      await mkdir(this.dir, { recursive: true });
      await writeConfiguration(this.#plan());
      const root = new ContainerdRoot(this.dir);
      await root.reset();
      await this.#enclosure.start();
      makeCgroup(this.#programs);
      favour(this.#programs, FAVOUR);
      say('API server, containers');
      const images = [await pauseImageOf(), ...(options.images ?? [])];
      await Promise.all([
        this.#startControlPlane(options.signal),
        // The kubelet first looks for Docker for 5 s, with nothing else to do: it does so while the API server starts.
        this.#startContainerd(root, images).then(() => this.#daemons.kubelet.start()),
      ]);
      say('node');
      await waitUntil(() => this.#nodeIsReady(), {
        what: 'the node to be ready',
        everySeconds: 0.3,
        timeoutSeconds: 120,
        explain: () => this.#daemons.kubelet.logTail(),
        ...(options.signal ? { signal: options.signal } : {}),
      });
    });
  }

  /** Ends everything and removes all but the images. Does nothing where nothing is. */
  async down(): Promise<void> {
    this.#api = undefined;
    await this.forwards.closeAll();
    await this.#enclosure.stop();
    const kept = ['containerd', 'containerd-clean'];
    for (const entry of await readdir(this.dir).catch(() => [])) {
      if (!kept.includes(entry)) await rm(join(this.dir, entry), { recursive: true, force: true });
    }
  }

  /** Also removes the images kept for the next `up`. */
  async destroy(): Promise<void> {
    await this.down();
    await rm(this.dir, { recursive: true, force: true });
  }

  /**
   * Asks the API server without kubectl, whose start takes a quarter of a second of processor time and more of the server's.
   * Returns the answer's body. @throws where the answer is an error, with its text
   */
  async request(method: string, path: string, body?: object): Promise<unknown> {
    this.#api ??= this.kubeconfigForHost().then((file) => RestClient.open(file));
    const answer = await (await this.#api).request(method, path, body);
    if (answer.status < 300) return answer.body;
    const { message } = answer.body as { message?: string };
    throw new Error(`${method} ${path}: ${answer.status} ${message ?? JSON.stringify(answer.body)}`);
  }

  /** The objects of the list at a path, selectors in its query. */
  async items<T = unknown>(path: string): Promise<readonly T[]> {
    const { items } = (await this.request('GET', path)) as { items: readonly T[] };
    return items;
  }

  /** Runs kubectl with the given arguments; throws with its error text. Returns its output. */
  async kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(await this.kubectlCommand(args), options);
  }

  /** The argument list of such a kubectl, for those who start processes themselves: a watch for instance. */
  async kubectlCommand(args: readonly string[]): Promise<string[]> {
    return this.enter([join(this.#made.tools, 'kubectl'), '--kubeconfig', this.kubeconfig, ...args]);
  }

  /** The command line that a person types to reach the cluster with kubectl. */
  async kubectlLine(): Promise<string> {
    return (await this.kubectlCommand([])).join(' ');
  }

  async helm(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.exec([join(this.#made.tools, 'helm'), '--kubeconfig', this.kubeconfig, ...args], {
      ...options,
      // Helm leaves caches in the home folder; a test's belong to the cluster.
      env: {
        HELM_CACHE_HOME: join(this.dir, 'helm'),
        HELM_CONFIG_HOME: join(this.dir, 'helm'),
        HELM_DATA_HOME: join(this.dir, 'helm'),
        ...options.env,
      },
    });
  }

  /** The argument list that runs `command` in the cluster's network, for those who start processes themselves. */
  enter(command: readonly string[], depth: Depth = 'network'): Promise<string[]> {
    return this.#enclosure.enter(depth, command);
  }

  /** Runs a command of the host in the cluster's network: it reaches API server, Services, pods and machines. */
  async exec(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(await this.enter(command), options);
  }

  /** Makes an image known to the node, while pods run. It is forgotten at the next `up`, unlike those given to `up`. */
  async loadImage(image: Image): Promise<void> {
    const ctr = ['ctr', '-a', containerdSocket, '-n', 'k8s.io'];
    const present = await run(await this.enter([...ctr, 'content', 'ls', '--quiet'], 'all'));
    const file = join(this.dir, `image-${image.key}.tar`);
    try {
      await archive(image, new Set(present.trim().split('\n')), file);
      await run(await this.enter([...ctr, 'images', 'import', file], 'all'), { timeoutSeconds: 300 });
    } finally {
      await rm(file, { force: true });
    }
  }

  /** Gives an image that the node has another name, by which pods find it. */
  async tagImage(image: Image, ref: string): Promise<void> {
    const ctr = ['ctr', '-a', containerdSocket, '-n', 'k8s.io', 'images', 'tag', '--force', image.ref, ref];
    await run(await this.enter(ctr, 'all'));
  }

  /** Points names at addresses, as records of a name server do; machines and pods find them from now on. */
  async pointNames(records: Readonly<Record<string, string>>): Promise<void> {
    const file = join(this.dir, RECORDS_FILE);
    await writeFile(`${file}.part`, JSON.stringify(records));
    await rename(`${file}.part`, file);
  }

  async startApiServer(signal?: AbortSignal): Promise<void> {
    const { apiserver } = this.#daemons;
    await apiserver.start();
    const ended = new AbortController();
    const isUp = async () => {
      if (await this.#apiServerIsReady()) return true;
      if (!(await apiserver.isRunning())) {
        ended.abort(new Error(`the API server has ended by itself\n${await apiserver.logTail()}`));
      }
      return false;
    };
    await waitUntil(isUp, {
      what: 'the API server to be ready',
      timeoutSeconds: 120,
      explain: () => apiserver.logTail(),
      signal: AbortSignal.any([ended.signal, ...(signal ? [signal] : [])]),
    });
  }

  /** `KILL` for a crash. */
  async stopApiServer(signal: 'TERM' | 'KILL' = 'KILL'): Promise<void> {
    await this.#daemons.apiserver.stop({ signal });
  }

  async restartApiServer(): Promise<void> {
    await this.stopApiServer();
    await this.startApiServer();
  }

  /** Stops or starts one of the cluster's programs; for faults. */
  daemon(name: ProgramName): Daemon {
    return this.#daemons[name];
  }

  /** One more program in the cluster's namespaces, not started yet; it ends with the cluster. */
  addDaemon(name: string, command: readonly string[]): Daemon {
    return new Daemon({ name, dir: this.dir, enclosure: this.#enclosure, command, cgroup: this.#programs });
  }

  /** For the cluster's own programs, so that their processor time counts as the cluster's. */
  get #programs(): string {
    return `${this.#cgroup}/programs`;
  }

  get #cgroup(): string {
    return `floe-${this.name}`;
  }

  #plan(): Parameters<typeof commands>[0] {
    return {
      dir: this.dir,
      cgroup: this.#cgroup,
      made: this.#made,
      ...(this.#options.apiServerFlags ? { apiServerFlags: this.#options.apiServerFlags } : {}),
    };
  }

  async #startControlPlane(signal?: AbortSignal): Promise<void> {
    await this.#daemons.etcd.start();
    await this.startApiServer(signal);
    await Promise.all([
      this.#daemons['controller-manager'].start(),
      this.#daemons.scheduler.start(),
      this.#daemons.proxy.start(),
      this.#daemons.dns.start(),
    ]);
  }

  async #startContainerd(root: ContainerdRoot, images: readonly Image[]): Promise<void> {
    const { containerd } = this.#daemons;
    await this.#containerdIsUp();
    const missing = await root.missing(images);
    if (missing.length === 0) return;
    for (const image of missing) await this.loadImage(image);
    // Its databases are copied while nothing writes to them.
    await containerd.stop();
    await root.remember(images);
    await this.#containerdIsUp();
  }

  async #containerdIsUp(): Promise<void> {
    const { containerd } = this.#daemons;
    await containerd.start();
    const ask = await this.enter(['ctr', '-a', containerdSocket, 'version'], 'all');
    await waitUntil(async () => (await tryRun(ask)).code === 0, {
      what: 'containerd',
      explain: () => containerd.logTail(),
    });
  }

  async #apiServerIsReady(): Promise<boolean> {
    const ready = await this.#raw('/readyz');
    return ready.code === 0;
  }

  #raw(path: string): Promise<RunResult> {
    return this.enter([join(this.#made.tools, 'kubectl'), '--kubeconfig', this.kubeconfig, 'get', '--raw', path]).then(
      (command) => tryRun(command),
    );
  }

  async #nodeIsReady(): Promise<boolean> {
    const [node, account] = await Promise.all([
      this.#raw('/api/v1/nodes/local'),
      // Without it the controllers could not make a pod yet.
      this.#raw('/api/v1/namespaces/default/serviceaccounts/default'),
    ]);
    return account.code === 0 && /"type":"Ready","status":"True"/.test(node.stdout);
  }
}
