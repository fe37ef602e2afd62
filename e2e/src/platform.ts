// Decides where the demo runs: in the local cluster on Debian as root, else in kind where Docker runs, else nowhere, with the reasons.
import { readFile } from 'node:fs/promises';
import { tryRun } from '../bed/run.ts';

export interface HostFacts {
  readonly linux: boolean;
  readonly root: boolean;
  /** Debian or a derivative: apt brings what the local cluster is made of. */
  readonly debian: boolean;
  /** `silent`: the program is there, and no engine answers it. */
  readonly docker: 'runs' | 'silent' | 'missing';
  readonly kind: boolean;
}

export type Platform =
  | { readonly on: 'local' }
  | { readonly on: 'kind' }
  /** Each line: what is missing, and how to get it. */
  | { readonly on: 'nothing'; readonly missing: readonly string[] };

export function choosePlatform(facts: HostFacts, askedForKind: boolean): Platform {
  if (!facts.linux) {
    return {
      on: 'nothing',
      missing: ['Linux: the machines of the demo are Linux. In a virtual machine or WSL 2 it runs.'],
    };
  }
  const forLocal = missingForLocal(facts);
  if (!askedForKind && forLocal.length === 0) return { on: 'local' };
  const forKind = missingForKind(facts);
  if (forKind.length === 0) return { on: 'kind' };
  const local = forLocal.length === 0 ? ['Without --kind the demo runs here, in the local cluster.'] : forLocal;
  return { on: 'nothing', missing: [...forKind, ...local] };
}

function missingForLocal(facts: HostFacts): readonly string[] {
  return [
    ...(facts.debian ? [] : ['For the local cluster, Debian: use Debian 12 or later, or a derivative with apt.']),
    ...(facts.root ? [] : ['For the local cluster, root: sudo npm run demo.']),
  ];
}

function missingForKind(facts: HostFacts): readonly string[] {
  const docker = {
    runs: [],
    silent: ['For kind, a Docker engine: `docker version` reaches none. Start it, or join the group that may use it.'],
    missing: ['For kind, Docker: https://docs.docker.com/engine/install.'],
  }[facts.docker];
  return [...docker, ...(facts.kind ? [] : ['For kind, kind itself: https://kind.sigs.k8s.io, 0.20 or later.'])];
}

/** Looks at this computer. Nothing is changed. */
export async function hostFacts(): Promise<HostFacts> {
  const [release, docker, kind] = await Promise.all([
    readFile('/etc/os-release', 'utf8').catch(() => ''),
    exitCode(['docker', 'version', '--format', '{{.Server.Version}}']),
    exitCode(['kind', 'version']),
  ]);
  return {
    linux: process.platform === 'linux',
    root: process.getuid?.() === 0,
    debian: /^ID(_LIKE)?=.*\bdebian\b/m.test(release),
    docker: docker === undefined ? 'missing' : docker === 0 ? 'runs' : 'silent',
    kind: kind === 0,
  };
}

/** Undefined where the program is not there. */
async function exitCode(command: readonly string[]): Promise<number | undefined> {
  return tryRun(command, { timeoutSeconds: 20 }).then(
    ({ code }) => code,
    (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : 1),
  );
}
