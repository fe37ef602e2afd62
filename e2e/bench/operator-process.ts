// The operator as a plain process, with every setting given by flag.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { readMetrics } from './metrics-text.ts';

export type OperatorOptions = {
  readonly kubeconfig: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly logFile: string;
  /** Folder for a CPU profile. */
  readonly cpuProfile: string | undefined;
  /** Name of the replica. Default `bench-0`. */
  readonly replica?: string;
  /** Ports of the hub and of /metrics. Default 8443 and 9090. */
  readonly ports?: { readonly https: number; readonly http: number };
};

/** Flags of Node, as in images/floe/Dockerfile. */
export const NODE_FLAGS = ['--max-semi-space-size=4'];
/** Namespace of the operator's Leases. */
export const SYSTEM = 'floe-system';
const HTTPS_PORT = 8443;
const HTTP_PORT = 9090;
/** Where agents in the same network dial. */
export const HUB_URL = `https://127.0.0.1:${HTTPS_PORT}`;

/** Longest delay of the event loop; Node starts to measure anew each time it is read. */
const LOOP_LAG = 'nodejs_eventloop_lag_max_seconds';

/** A running operator; it ends with the cluster at the latest. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #http: string;
  readonly #failed = new AbortController();
  #asked = false;

  private constructor(child: ChildProcess, logFile: string, httpPort: number) {
    this.#child = child;
    this.#logFile = logFile;
    this.#http = `http://127.0.0.1:${httpPort}`;
    child.once('exit', (code, signal) => {
      if (!this.#asked) this.#failed.abort(new Error(`the operator ended by itself: ${code ?? signal}`));
    });
  }

  static async start(options: OperatorOptions): Promise<OperatorProcess> {
    const { kubeconfig, certFile, keyFile, logFile, cpuProfile, replica = 'bench-0', ports } = options;
    const { https, http } = ports ?? { https: HTTPS_PORT, http: HTTP_PORT };
    const profile = cpuProfile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfile}`];
    const flags: Readonly<Record<string, string>> = {
      namespace: SYSTEM,
      'pod-name': replica,
      'https-port': String(https),
      // Nothing is built here: any port that is free.
      'builds-port': '0',
      'http-port': String(http),
      'tls-cert': certFile,
      'tls-key': keyFile,
      // Nothing is built here, so that nothing asks for these three.
      image: 'localhost/floe:bench',
      'cache-url': 'http://127.0.0.1:8080/{namespace}',
      'report-url': 'https://127.0.0.1:8444/v1/builds',
      'log-level': 'info',
      kubeconfig,
    };
    const args = ['--leader-election', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
    const log = await open(logFile, 'a');
    try {
      const program = join(projectDir, 'dist', 'floe.mjs');
      const child = spawn(process.execPath, [...NODE_FLAGS, ...profile, program, 'operator', ...args], {
        stdio: ['ignore', log.fd, log.fd],
      });
      return new OperatorProcess(child, logFile, http);
    } finally {
      await log.close();
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Aborted, with the reason, when it ends without having been asked to. */
  get failed(): AbortSignal {
    return this.#failed.signal;
  }

  /** Waits until it has read everything and serves. */
  async ready(signal: AbortSignal): Promise<void> {
    const within = AbortSignal.any([signal, this.failed]);
    await waitUntil(async () => (await fetch(`${this.#http}/readyz`, { signal: within })).ok, {
      what: 'the operator to be ready',
      everySeconds: 0.02,
      timeoutSeconds: 60,
      signal: within,
      explain: () => this.logTail(),
    });
  }

  /** For how long its event loop was blocked at most since this was asked last, in ms. */
  async longestBlockMs(signal: AbortSignal): Promise<number> {
    const answer = await fetch(`${this.#http}/metrics`, {
      signal: AbortSignal.any([signal, this.failed, AbortSignal.timeout(30_000)]),
    });
    const samples = readMetrics(await answer.text(), [LOOP_LAG]);
    const [found] = samples;
    if (found === undefined) throw new Error(`the operator's /metrics has no ${LOOP_LAG}`);
    return found.value * 1000;
  }

  /** The last lines of its log, for an error. */
  async logTail(lines = 15): Promise<string> {
    const text = await readFile(this.#logFile, 'utf8').catch(() => '');
    return `${this.#logFile}:\n${text.trimEnd().split('\n').slice(-lines).join('\n')}`;
  }

  /** Kills it as a crash does: nothing is given back, nothing is said. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#asked = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** Ends it in order, by SIGKILL where that takes more than 20 s. */
  async end(): Promise<void> {
    this.#asked = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 20_000);
    await exited;
    clearTimeout(kill);
  }
}
