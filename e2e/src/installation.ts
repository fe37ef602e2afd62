// Floe as a person would have it: installed by Helm in a local cluster, with machines that know their hub and trust one key.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster } from '../bed/cluster.ts';
import { ensureHost, ensurePackages, type PackageSet } from '../bed/ensure-host.ts';
import { Fleet, makeSigningKey, type SigningKey } from '../bed/fleet.ts';
import type { Image } from '../bed/image-layout.ts';
import { floeImage } from '../bed/images.ts';
import type { Machine } from '../bed/machine.ts';
import { projectDir } from '../bed/paths.ts';
import { type OnProgress, step } from '../bed/progress.ts';
import { run } from '../bed/run.ts';
import { helmValues, hubAddress } from './helm-values.ts';
import type { Site } from './site.ts';

/** Namespace of the machines and their kinds. */
export const NAMESPACE = 'fleet';
const FLOE = `/apis/floe.dev/v1alpha1/namespaces/${NAMESPACE}`;
/** Namespace of the operator. */
export const SYSTEM = 'floe-system';
/** Where machines find the CA of their hub. */
export const CA_FILE = '/etc/floe-hub-ca.crt';

export interface InstallationOptions {
  /** Name of the cluster; installations of different names run side by side. */
  readonly name: string;
  readonly machines: readonly string[];
  /** The operator's, of {@link makeReady}; made where it is missing. */
  readonly image?: Image;
  /** Ends with this process, even when it is killed. */
  readonly endsWithParent?: boolean;
  /** More Helm values, `--set` form. */
  readonly values?: readonly string[];
  readonly onProgress?: OnProgress;
}

type Named = { readonly metadata: { readonly name: string } };

/** What another process needs to know of an installation. */
type Saved = { readonly machineNames: readonly string[]; readonly key: SigningKey };

/** Makes what all installations share, each thing once: the host's packages and trees, the programs, the operator's image. */
export async function makeReady(
  options: { readonly onProgress?: OnProgress; readonly packages?: readonly PackageSet[] } = {},
): Promise<Image> {
  const progress = options.onProgress ? { onProgress: options.onProgress } : {};
  await ensureHost(progress);
  for (const set of options.packages ?? []) await ensurePackages(progress, set);
  await step(options.onProgress, 'build', 'programs: operator and agent, bundled', () =>
    run([process.execPath, join(projectDir, 'scripts/build.ts')]).then(() => undefined),
  );
  return floeImage(join(projectDir, 'dist', 'floe.mjs'), progress);
}

/** A running installation. */
export class Installation implements Site {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly machineNames: readonly string[];
  readonly #bundle: string;
  readonly #key: SigningKey;

  private constructor(given: { cluster: Cluster; machineNames: readonly string[]; key: SigningKey }) {
    this.cluster = given.cluster;
    this.machineNames = given.machineNames;
    this.fleet = new Fleet(join(given.cluster.dir, 'fleet'));
    this.#bundle = join(projectDir, 'dist', 'floe-agent.mjs');
    this.#key = given.key;
  }

  /** Makes everything that is missing, then a cluster, the operator in it, and machines that are connected. */
  static async create(options: InstallationOptions): Promise<Installation> {
    const { onProgress } = options;
    const image = options.image ?? (await makeReady(onProgress ? { onProgress } : {}));
    const cluster = await Cluster.open({ name: options.name, endsWithParent: options.endsWithParent ?? false });
    await cluster.up({ images: [image], ...(onProgress ? { onProgress } : {}) });
    const key = await makeSigningKey(`${NAMESPACE}-floe-1`);
    const installation = new Installation({ cluster, machineNames: options.machines, key });
    const saved: Saved = { machineNames: options.machines, key };
    await writeFile(join(cluster.dir, 'installation.json'), JSON.stringify(saved), { mode: 0o600 });
    await installation.#start(image, options);
    return installation;
  }

  /** The installation of that name, made by another process. */
  static async attach(name: string): Promise<Installation> {
    const cluster = await Cluster.open({ name });
    const saved = JSON.parse(await readFile(join(cluster.dir, 'installation.json'), 'utf8')) as Saved;
    return new Installation({ cluster, ...saved });
  }

  /** Everything down; nothing is left but what the next start would make again. */
  async remove(): Promise<void> {
    await this.cluster.down();
  }

  machine(name: string): Promise<Machine> {
    return this.cluster.machines.get(name);
  }

  /** The key that the machines trust. */
  get key(): SigningKey {
    return this.#key;
  }

  kubectl(...args: string[]): Promise<string> {
    return this.cluster.kubectl(['-n', NAMESPACE, ...args]);
  }

  async list(plural: string): Promise<readonly unknown[]> {
    // From the API server's own memory, in no order: a poll that reads etcd again costs it several times as much.
    const items = await this.cluster.items<Named>(`${FLOE}/${plural}?resourceVersion=0`);
    return items.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  }

  /** Asks the API server for what lies at a path below the fleet's namespace, `nixmachines/m1` for instance; without kubectl, whose start is dear. */
  async get(path: string): Promise<unknown> {
    return this.cluster.request('GET', `${FLOE}/${path}`);
  }

  /** Changes what lies at such a path: a merge patch, or the operations of a JSON patch. */
  async patch(path: string, change: object): Promise<void> {
    await this.cluster.request('PATCH', `${FLOE}/${path}`, change);
  }

  kubectlLine(): Promise<string> {
    return this.cluster.kubectlLine();
  }

  /** Applies objects, as `kubectl apply -f -` does. */
  async apply(...objects: object[]): Promise<void> {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await this.cluster.kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], { input: list });
  }

  /** Writes the fleet's flake with a module per machine, and publishes it as a commit; returns URL and commit. */
  async publish(
    modules: Readonly<Record<string, string>>,
    common = '{ services.hello.enable = true; }',
  ): Promise<{ url: string; commit: string }> {
    await this.#writeFleet(this.fleet, modules, common);
    return this.cluster.sources.publish('fleet', this.fleet.dir);
  }

  /** The same in a repository of that name, for one more NixConfig; also for machines that the installation has not. */
  async publishBeside(
    repository: string,
    modules: Readonly<Record<string, string>>,
    common: string,
  ): Promise<{ url: string; commit: string }> {
    const fleet = new Fleet(join(this.cluster.dir, `fleet-${repository}`));
    await this.#writeFleet(fleet, modules, common);
    return this.cluster.sources.publish(repository, fleet.dir);
  }

  async #writeFleet(fleet: Fleet, modules: Readonly<Record<string, string>>, common?: string): Promise<void> {
    const names = new Set([...this.machineNames, ...Object.keys(modules)]);
    const machines = Object.fromEntries([...names].map((name) => [name, modules[name] ?? '{ }']));
    await fleet.write({
      machines,
      ...(common === undefined ? {} : { common }),
      agent: {
        bundle: this.#bundle,
        settings: { hub: `https://${hubAddress}:8443`, caFile: CA_FILE, namespace: NAMESPACE },
        trustedPublicKeys: [this.#key.public],
      },
    });
  }

  async #start(image: Image, options: InstallationOptions): Promise<void> {
    const { onProgress } = options;
    await step(
      onProgress,
      'install',
      'operator and cache by `helm install`; first systems of the machines',
      async () => {
        const [, systems] = await Promise.all([this.#install(image, options.values ?? []), this.#firstSystems()]);
        const ca = await this.#hubCa();
        await this.#makeMachines(systems, ca);
      },
    );
    await step(onProgress, 'machines', `${this.machineNames.length} machines boot and connect`, async () => {
      await Promise.all(this.machineNames.map(async (name) => (await this.machine(name)).start()));
    });
  }

  async #install(image: Image, values: readonly string[]): Promise<void> {
    const { cluster } = this;
    await mkdir(cluster.dir, { recursive: true });
    const file = join(cluster.dir, 'values.json');
    await writeFile(file, JSON.stringify(helmValues(image.ref)));
    const sets = values.flatMap((value) => ['--set', value]);
    const chart = join(projectDir, 'charts/floe');
    await cluster.helm(
      ['install', 'floe', chart, '-n', SYSTEM, '--create-namespace', '-f', file, ...sets, '--wait', '--timeout', '3m'],
      { timeoutSeconds: 240 },
    );
    await cluster.kubectl(['create', 'namespace', NAMESPACE]);
    const secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'floe-signing-key' },
      stringData: { secret: this.#key.secret, public: this.#key.public },
    };
    await this.apply(secret);
  }

  async #firstSystems(): Promise<Map<string, string>> {
    // As an admin installs a machine: an agent and nothing else.
    await this.#writeFleet(this.fleet, {}, '{ }');
    const systems = new Map<string, string>();
    for (const name of this.machineNames) systems.set(name, await this.fleet.build(name));
    return systems;
  }

  async #hubCa(): Promise<string> {
    const path = "jsonpath={.data['ca\\.crt']}";
    return this.cluster.kubectl(['-n', SYSTEM, 'get', 'configmap', 'floe-hub-ca', '-o', path]);
  }

  async #makeMachines(systems: ReadonlyMap<string, string>, ca: string): Promise<void> {
    for (const [name, system] of systems) {
      await this.cluster.machines.create({ name, system, files: { [CA_FILE]: ca } });
    }
  }
}
