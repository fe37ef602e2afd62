// One long-running program inside a cluster's namespaces, found again by another process through the number it has in there.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupFiles, makeCgroup } from './cgroups.ts';
import type { Enclosure } from './enclosure.ts';
import { recipe } from './paths.ts';
import { run } from './run.ts';
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
    await rm(this.#file, { force: true });
    if (this.#cgroup !== undefined) makeCgroup(this.#cgroup);
    const entries = this.#cgroup === undefined ? [] : cgroupFiles(this.#cgroup);
    const [program = 'nsenter', ...args] = await this.#script([
      'start',
      this.#file,
      entries.join(':'),
      ...this.#command,
    ]);
    const log = await open(this.logFile, 'a');
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log.fd, log.fd], cwd: this.#dir });
    child.unref();
    await log.close();
    await waitUntil(async () => existsSync(this.#file), {
      what: `${this.name} to start`,
      timeoutSeconds: 60,
      everySeconds: 0.02,
      explain: () => this.logTail(),
    });
  }

  /** Ends it and waits for it; SIGKILL where it is still there after `graceSeconds` (default 10). */
  async stop(options: { readonly signal?: 'TERM' | 'KILL'; readonly graceSeconds?: number } = {}): Promise<void> {
    if (!existsSync(this.#file) || !(await this.#enclosure.isRunning())) return;
    const grace = options.graceSeconds ?? 10;
    await run(await this.#script(['stop', this.#file, options.signal ?? 'TERM', String(grace)]), {
      timeoutSeconds: grace + 60,
    });
    await rm(this.#file, { force: true });
  }

  /** As long as the process that daemon.sh has written down is there: its number, and when it began. */
  async isRunning(): Promise<boolean> {
    const proc = await this.#enclosure.proc();
    const [pid = '', began] = (await readFile(this.#file, 'utf8').catch(() => '')).trim().split(' ');
    if (proc === undefined || pid === '') return false;
    const stat = await readFile(`${proc}/${pid}/stat`, 'utf8').catch(() => '');
    // The third field and those after it (proc_pid_stat(5)); the second may have spaces in it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, threads, born] = [fields[0], Number(fields[17]), fields[19]];
    // A program whose first thread has ended holds its ports until the last one has.
    return born === began && !(state === 'Z' && threads <= 1);
  }

  /** Waits until it has ended by itself. */
  async gone(timeoutSeconds = 60): Promise<void> {
    await waitUntil(async () => !(await this.isRunning()), { what: `${this.name} to end`, timeoutSeconds });
    await rm(this.#file, { force: true });
  }

  /** The last lines of its log, for an error. */
  async logTail(lines = 15): Promise<string> {
    const text = await readFile(this.logFile, 'utf8').catch(() => '');
    return `${this.logFile}:\n${text.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  /** Holds its number inside the cluster and when it began; gone when it was stopped. */
  get #file(): string {
    return join(this.#dir, 'run', `${this.name}.pid`);
  }

  #script(args: readonly string[]): Promise<string[]> {
    return this.#enclosure.enter('all', [recipe('cluster', 'daemon.sh'), ...args]);
  }
}
