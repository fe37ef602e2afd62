// The command lines of the demo in kind, as data: what Docker and kind are asked to do, and by which label all of it is found again.

/** Name of the cluster, and the beginning of every other name. */
const CLUSTER = 'floe-demo';
/** kind's node. */
export const NODE = `${CLUSTER}-control-plane`;
export const GIT_SERVER = `${CLUSTER}-git`;
/** The store in which the machines' first systems are built. */
const STORE = `${CLUSTER}-store`;
export const GIT_PORT = 8418;

const LABEL = 'floe-demo=kind';
/** Docker's network of all kind clusters. */
const NETWORK = 'kind';

export function containerOf(machine: string): string {
  return `${CLUSTER}-${machine}`;
}

/** As kind runs its own nodes: systemd wants a cgroup tree of its own, and mounts. */
export function createMachine(machine: string, image: string): string[] {
  const systemd = ['--privileged', '--cgroupns=private', '--tty', '--tmpfs', '/run', '--tmpfs', '/tmp'];
  const names = ['--name', containerOf(machine), '--hostname', machine, '--label', LABEL, '--network', NETWORK];
  return ['docker', 'create', ...names, ...systemd, image];
}

interface InStore {
  readonly image: string;
  readonly command: readonly string[];
  /** Path in the container -> folder of this computer. */
  readonly binds?: Readonly<Record<string, string>>;
}

/** Runs a command in a container that is thrown away, where `/nix` is the demo's store. */
export function runInStore({ image, command, binds = {} }: InStore): string[] {
  const volumes = Object.entries(binds).flatMap(([inside, folder]) => ['--volume', `${folder}:${inside}`]);
  return [
    'docker',
    'run',
    '--rm',
    '--interactive',
    '--label',
    LABEL,
    '--volume',
    `${STORE}:/nix`,
    ...volumes,
    image,
    ...command,
  ];
}

export function createStore(): string[] {
  return ['docker', 'volume', 'create', '--label', LABEL, STORE];
}

interface GitServer {
  /** The image of the operator: it has Node and git. */
  readonly image: string;
  /** Bare repositories. */
  readonly sources: string;
  /** The folder of git-server-main.ts. */
  readonly program: string;
  /** `uid:gid` of whom the repositories belong to. */
  readonly user: string;
}

export function runGitServer({ image, sources, program, user }: GitServer): string[] {
  const names = ['--detach', '--name', GIT_SERVER, '--label', LABEL, '--network', NETWORK, '--user', user];
  const volumes = ['--volume', `${sources}:/sources:ro`, '--volume', `${program}:/bed:ro`];
  const command = ['/bed/git-server-main.ts', '/sources', '0.0.0.0', String(GIT_PORT)];
  return ['docker', 'run', ...names, ...volumes, '--entrypoint', 'node', image, ...command];
}

export function buildImage(ref: string, context: string): string[] {
  return ['docker', 'build', '--label', LABEL, '--tag', ref, context];
}

/** The address of a container in kind's network. */
export function addressOf(container: string): string[] {
  return ['docker', 'inspect', '--format', `{{.NetworkSettings.Networks.${NETWORK}.IPAddress}}`, container];
}

export function createCluster(kubeconfig: string): string[] {
  return ['kind', 'create', 'cluster', '--name', CLUSTER, '--kubeconfig', kubeconfig, '--wait', '3m'];
}

export function deleteCluster(kubeconfig: string): string[] {
  return ['kind', 'delete', 'cluster', '--name', CLUSTER, '--kubeconfig', kubeconfig];
}

export function loadImage(ref: string): string[] {
  return ['kind', 'load', 'docker-image', ref, '--name', CLUSTER];
}

interface Leftovers {
  /** Prints one name per line. */
  readonly list: readonly string[];
  /** Takes those names. */
  readonly remove: readonly string[];
}

/** What carries the demo's label, in the order in which it can be removed. The build cache of Docker stays. */
export const LEFTOVERS: readonly Leftovers[] = [
  {
    list: ['docker', 'ps', '--all', '--quiet', '--filter', `label=${LABEL}`],
    remove: ['docker', 'rm', '--force', '--volumes'],
  },
  {
    list: ['docker', 'volume', 'ls', '--quiet', '--filter', `label=${LABEL}`],
    remove: ['docker', 'volume', 'rm'],
  },
  {
    list: ['docker', 'images', '--quiet', '--filter', `label=${LABEL}`],
    remove: ['docker', 'rmi', '--force'],
  },
];
