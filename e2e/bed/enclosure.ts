// The namespaces in which one cluster lives: PID, mount and network. Ending its first process ends, unmounts and disconnects everything.
import { type SpawnOptions, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeCgroup, removeCgroup } from './cgroups.ts';
import { recipe } from './paths.ts';
import { waitUntil } from './wait-until.ts';

export interface EnclosureOptions {
  readonly dir: string;
  /** The cgroup below which everything of the cluster is kept, so that two kubelets never clean up after each other. */
  readonly cgroup: string;
  /** End with this process, however it ends. For tests; a cluster that is kept must outlive its maker. */
  readonly endsWithParent?: boolean;
}

/** How to enter: the network only (files as on the host), or everything. */
export type Depth = 'network' | 'all';

export class Enclosure {
  readonly #options: EnclosureOptions;
  #pid: number | undefined;

  constructor(options: EnclosureOptions) {
    this.#options = options;
  }

  /** Whether its first process runs, whoever started it. */
  async isRunning(): Promise<boolean> {
    return (await this.#find()) !== undefined;
  }

  async start(): Promise<void> {
    const { dir, endsWithParent } = this.#options;
    await mkdir(join(dir, 'log'), { recursive: true });
    await rm(join(dir, 'init.pid'), { force: true });
    makeCgroup(this.#options.cgroup);
    const log = await open(join(dir, 'log', 'init.log'), 'w');
    const command = ['--fork', '--pid', '--mount', '--net', '--ipc', '--propagation', 'private'];
    const init = ['bash', recipe('cluster', 'init.sh'), dir];
    const child = endsWithParent
      ? spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--kill-child=KILL', ...command, ...init], quiet(log.fd))
      : spawn('unshare', [...command, ...init], quiet(log.fd));
    child.unref();
    await log.close();
    await waitUntil(async () => (await this.#find()) !== undefined, {
      what: "the cluster's namespaces",
      timeoutSeconds: 20,
      everySeconds: 0.02,
      explain: () => readFile(join(dir, 'log', 'init.log'), 'utf8'),
    });
  }

  /** The command that runs `command` inside. Throws when the cluster is not up. */
  async enter(depth: Depth, command: readonly string[]): Promise<string[]> {
    const pid = await this.#find();
    if (pid === undefined) throw new Error(`the cluster in ${this.#options.dir} is not up; call up() first`);
    const which = depth === 'network' ? ['-n'] : ['-n', '-m', '-p'];
    return ['nsenter', '-t', String(pid), ...which, '--', ...command];
  }

  /** The folder through which the host sees the enclosure's own /proc, with the numbers that processes have inside; undefined when it is not up. */
  async proc(): Promise<string | undefined> {
    const pid = await this.#find();
    return pid === undefined ? undefined : join('/proc', String(pid), 'root', 'proc');
  }

  /** Ends everything inside, also what an earlier process of ours left behind. */
  async stop(): Promise<void> {
    const pid = await this.#find();
    if (pid !== undefined) {
      process.kill(pid, 'SIGKILL');
      await waitUntil(async () => (await this.#find()) === undefined, {
        what: 'the cluster to end',
        timeoutSeconds: 30,
      });
    }
    await rm(join(this.#options.dir, 'init.pid'), { force: true });
    this.#pid = undefined;
    await waitUntil(async () => removeCgroup(this.#options.cgroup), {
      what: `cgroup ${this.#options.cgroup} to be empty`,
      timeoutSeconds: 20,
    });
  }

  /** The first process, as the host numbers it; only if it really is ours, since numbers are used again. */
  async #find(): Promise<number | undefined> {
    const { dir } = this.#options;
    if (this.#pid === undefined) {
      const text = await readFile(join(dir, 'init.pid'), 'utf8').catch(() => '');
      const pid = Number.parseInt(text, 10);
      if (!(pid > 1)) return undefined;
      this.#pid = pid;
    }
    const words = (await readFile(`/proc/${this.#pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (words.includes(recipe('cluster', 'init.sh')) && words.includes(dir)) return this.#pid;
    this.#pid = undefined;
    return undefined;
  }
}

function quiet(log: number): SpawnOptions {
  return { detached: true, stdio: ['ignore', log, log] };
}
