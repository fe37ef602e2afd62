// One long-running program inside a cluster's namespaces, found again by another process through the number it has in there.
import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupFiles, makeCgroup } from './cgroups.ts';
import type { Enclosure } from './enclosure.ts';
import { tryRun } from './run.ts';
import { waitUntil } from './wait-until.ts';

export interface DaemonOptions {
  readonly name: string;
  /** The cluster's folder. */
  readonly dir: string;
  readonly enclosure: Enclosure;
  readonly command: readonly string[];
  /** Started in this cgroup; by default in that of whoever starts it. */
  readonly cgroup?: string;
}

export class Daemon {
  readonly name: string;
  readonly #dir: string;
  readonly #enclosure: Enclosure;
  readonly #command: readonly string[];
  readonly #cgroup: string | undefined;

  constructor(options: DaemonOptions) {
    this.#cgroup = options.cgroup;
    this.name = options.name;
    this.#dir = options.dir;
    this.#enclosure = options.enclosure;
    this.#command = options.command;
  }

  get logFile(): string {
    return join(this.#dir, 'log', `${this.name}.log`);
  }

  /** Starts it and returns at once. Its log is appended to. */
  async start(): Promise<void> {
    await mkdir(join(this.#dir, 'log'), { recursive: true });
    await mkdir(join(this.#dir, 'run'), { recursive: true });
    await rm(this.#pidFile, { force: true });
    if (this.#cgroup !== undefined) makeCgroup(this.#cgroup);
    const entries = this.#cgroup === undefined ? [] : cgroupFiles(this.#cgroup);
    const begin = [
      ...entries.map((file) => `echo 0 > ${file}`),
      'echo $$ > "$0.part"',
      'mv "$0.part" "$0"',
      'exec "$@"',
    ];
    const shell = ['sh', '-c', begin.join(' && '), this.#pidFile, ...this.#command];
    const [program = 'nsenter', ...args] = await this.#enclosure.enter('all', shell);
    const log = await open(this.logFile, 'a');
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log.fd, log.fd], cwd: this.#dir });
    child.unref();
    await log.close();
    await waitUntil(() => this.pid(), { what: `${this.name} to start`, timeoutSeconds: 20, everySeconds: 0.02 });
  }

  /** Ends it and waits for it; SIGKILL where it is still there after `graceSeconds` (default 10). */
  async stop(options: { readonly signal?: 'TERM' | 'KILL'; readonly graceSeconds?: number } = {}): Promise<void> {
    const pid = await this.pid();
    if (pid === undefined) return;
    const script = `kill -${options.signal ?? 'TERM'} $0 2>/dev/null || exit 0
      n=0; while [ -d /proc/$0 ] && ! grep -q '^State:.Z' /proc/$0/status 2>/dev/null; do
        n=$((n+1)); [ $n -le ${(options.graceSeconds ?? 10) * 20} ] || kill -KILL $0; sleep 0.05; done`;
    await tryRun(await this.#enclosure.enter('all', ['sh', '-c', script, String(pid)]));
    await rm(this.#pidFile, { force: true });
  }

  async isRunning(): Promise<boolean> {
    const pid = await this.pid();
    if (pid === undefined || !(await this.#enclosure.isRunning())) return false;
    return (await tryRun(await this.#enclosure.enter('all', ['kill', '-0', String(pid)]))).code === 0;
  }

  /** Waits until it has ended by itself. */
  async gone(timeoutSeconds = 20): Promise<void> {
    const pid = await this.pid();
    if (pid === undefined) return;
    await waitUntil(async () => !(await this.isRunning()), { what: `${this.name} to end`, timeoutSeconds });
    await rm(this.#pidFile, { force: true });
  }

  /** The last lines of its log, for an error. */
  async logTail(lines = 15): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '');
    return `${this.logFile}:\n${text.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  get #pidFile(): string {
    return join(this.#dir, 'run', `${this.name}.pid`);
  }

  /** Its number inside the cluster; undefined when it was stopped or never started. It may have ended by itself meanwhile. */
  async pid(): Promise<number | undefined> {
    const pid = Number.parseInt(await readFile(this.#pidFile, 'utf8').catch(() => ''), 10);
    return pid > 0 ? pid : undefined;
  }
}
