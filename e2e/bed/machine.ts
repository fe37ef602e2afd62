// One machine: a Debian tree with systemd as PID 1, a network address, an SSH host key and a /nix of its own.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setFrozen } from './cgroups.ts';
import { Daemon } from './daemon.ts';
import type { Enclosure } from './enclosure.ts';
import { LoopDisk } from './loop-disk.ts';
import { recipe } from './paths.ts';
import { type RunOptions, type RunResult, run, tryRun } from './run.ts';
import { waitUntil } from './wait-until.ts';

export interface MachineOptions {
  readonly name: string;
  readonly address: string;
  /** The cluster's folder. */
  readonly clusterDir: string;
  /** Of its own: two systemds in one cgroup would take each other's processes for theirs. */
  readonly cgroup: string;
  readonly tree: string;
  readonly enclosure: Enclosure;
}

export class Machine {
  readonly name: string;
  /** In the cluster's network. */
  readonly address: string;
  readonly #options: MachineOptions;
  readonly #daemon: Daemon;
  /** A file system of its own, where one was made. */
  readonly disk: LoopDisk;

  /** See `Machines.create` and `Machines.get`. */
  constructor(options: MachineOptions) {
    this.name = options.name;
    this.address = options.address;
    this.#options = options;
    this.disk = new LoopDisk({ dir: this.dir, enclosure: options.enclosure });
    this.#daemon = new Daemon({
      name: `machine-${options.name}`,
      dir: options.clusterDir,
      enclosure: options.enclosure,
      cgroup: options.cgroup,
      command: [
        recipe('machine', 'run.sh'),
        join(this.dir, 'nspawn.pid'),
        'systemd-nspawn',
        '--quiet',
        '--register=no',
        '--keep-unit',
        '--kill-signal=SIGRTMIN+3',
        '--console=pipe',
        '--resolv-conf=off',
        '--timezone=off',
        '--link-journal=no',
        '--network-bridge=node0',
        `--machine=${options.name}`,
        `--directory=${join(this.dir, 'root')}`,
        '/usr/sbin/floe-stage-2',
      ],
    });
  }

  get dir(): string {
    return join(this.#options.clusterDir, 'machines', this.name);
  }

  /** What the machine has written over its tree: readable while it is off, too. `path` is absolute. */
  onDisk(path: string): string {
    if (!this.disk.exists) return join(this.dir, 'upper', path);
    // Mounted for the cluster alone.
    const init = readFileSync(join(this.#options.clusterDir, 'init.pid'), 'utf8').trim();
    return join('/proc', init, 'root', this.dir, 'disk/upper', path);
  }

  /** What its console said, from its first start on. */
  get consoleLog(): string {
    return this.#daemon.logFile;
  }

  /** `ssh-ed25519 AAAA…`, without a comment. */
  async sshHostKey(): Promise<string> {
    const text = await readFile(this.onDisk('/etc/ssh/ssh_host_ed25519_key.pub'), 'utf8');
    return text.trim().split(' ').slice(0, 2).join(' ');
  }

  async isRunning(): Promise<boolean> {
    return (await this.#leader()) !== undefined;
  }

  /** Boots what the boot entry says; returns when systemd has started everything, well or not. */
  async start(options: { readonly wait?: boolean; readonly timeoutSeconds?: number } = {}): Promise<void> {
    if (await this.isRunning()) return;
    await this.#mount();
    await this.#daemon.start();
    if (options.wait !== false) await this.booted(options);
  }

  /** Waits until systemd has started everything and the network is there. */
  async booted(options: { readonly timeoutSeconds?: number; readonly signal?: AbortSignal } = {}): Promise<void> {
    const ask =
      'state=$(systemctl is-system-running --wait); ip -4 -o address show host0 | grep -q inet && echo "$state"';
    await waitUntil(async () => /running|degraded/.test((await this.tryExec(['sh', '-c', ask])).stdout), {
      what: `${this.name} to boot`,
      timeoutSeconds: options.timeoutSeconds ?? 180,
      everySeconds: 0.2,
      explain: () => this.#daemon.logTail(),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  }

  /** Shuts down in order, as `systemctl poweroff` does. */
  async stop(): Promise<void> {
    await this.#daemon.stop({ signal: 'TERM', graceSeconds: 60 });
  }

  /** Power cut: every process is gone at once. What was written stays; with a disk of its own, what was synced. */
  async kill(): Promise<void> {
    const leader = await this.#leader();
    if (leader === undefined) return;
    if (this.disk.exists) {
      // Nobody sees the disk fail.
      this.freeze();
      await this.disk.shut();
    }
    await tryRun(await this.#options.enclosure.enter('all', ['kill', '-KILL', leader]));
    this.thaw(); // a frozen process takes no signal before that
    await this.#daemon.gone();
    if (this.disk.exists) await this.disk.recover();
  }

  /** Hangs: every process stands still and connections stay open, until {@link thaw}. */
  freeze(): void {
    setFrozen(this.#options.cgroup, true);
  }

  thaw(): void {
    setFrozen(this.#options.cgroup, false);
  }

  /** Shuts down in order and boots again, as `systemctl reboot` inside does. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Runs a command inside; throws unless it ends with 0. Returns standard output. */
  async exec(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return run(await this.#enter(command), options);
  }

  async tryExec(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return tryRun(await this.#enter(command), options);
  }

  /** Runs a shell script inside. */
  sh(script: string, options: RunOptions = {}): Promise<string> {
    return this.exec(['sh', '-euc', script], options);
  }

  /** Where a link inside leads, one step: `/run/current-system`, for instance. Undefined where there is none. */
  async readLink(path: string): Promise<string | undefined> {
    const result = await this.tryExec(['readlink', path]);
    return result.code === 0 ? result.stdout.trim() : undefined;
  }

  /** The closures of this machine as it sees them itself. */
  async closures(): Promise<Closures> {
    const script = `readlink /run/current-system || echo
      readlink /run/booted-system || echo
      readlink -f /nix/var/nix/profiles/system || echo
      sed -n 's/^options *init=\\([^ ]*\\)\\/init.*/\\1/p' "/boot/loader/entries/$(sed -n 's/^default *//p' /boot/loader/loader.conf)" || echo`;
    const [current = '', booted = '', profile = '', bootDefault = ''] = (await this.sh(script)).split('\n');
    return { current, booted, profile, bootDefault };
  }

  async #mount(): Promise<void> {
    const { enclosure, tree } = this.#options;
    const root = join(this.dir, 'root');
    await mkdir(root, { recursive: true });
    if (this.disk.exists) await this.disk.mount();
    const disk = this.disk.exists ? join(this.dir, 'disk') : this.dir;
    const script =
      'mountpoint -q "$2" || mount -t overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/work" overlay "$2"';
    await run(await enclosure.enter('all', ['sh', '-euc', script, tree, disk, root]));
  }

  async #enter(command: readonly string[]): Promise<string[]> {
    const leader = await this.#leader();
    if (leader === undefined) throw new Error(`machine ${this.name} is off`);
    return this.#options.enclosure.enter('all', [
      'nsenter',
      '-t',
      leader,
      '-m',
      '-u',
      '-i',
      '-n',
      '-p',
      '--',
      ...command,
    ]);
  }

  /** Its PID 1, as the cluster numbers it. */
  async #leader(): Promise<string | undefined> {
    if (!(await this.#daemon.isRunning())) return undefined;
    const proc = await this.#options.enclosure.proc();
    const nspawn = (await readFile(join(this.dir, 'nspawn.pid'), 'utf8').catch(() => '')).trim();
    const children = await readFile(`${proc}/${nspawn}/task/${nspawn}/children`, 'utf8').catch(() => '');
    return children.split(' ')[0] || undefined;
  }

  /** Off, and its disk gone. */
  async delete(): Promise<void> {
    await this.kill();
    const root = join(this.dir, 'root');
    if (existsSync(root) && (await this.#options.enclosure.isRunning())) {
      const script = 'umount -l "$0/root" "$0/disk"';
      await tryRun(await this.#options.enclosure.enter('all', ['sh', '-c', script, this.dir]));
    }
    await rm(this.dir, { recursive: true, force: true });
    await rm(join(this.#options.clusterDir, 'addresses', this.address), { recursive: true, force: true });
  }
}

/** Store paths; empty where there is none. */
export interface Closures {
  readonly current: string;
  readonly booted: string;
  readonly profile: string;
  /** What the boot loader would start. */
  readonly bootDefault: string;
}
