// Processes of simulated agents, as the one who starts them sees them.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { FromAgents, HubAddress, ToAgents } from './messages.ts';
import type { FleetScript } from './script.ts';

export type SimulatedFleetOptions = {
  readonly namespace: string;
  readonly machines: readonly string[];
  readonly hub: HubAddress;
  /** How long a machine takes for each of fetch, switch, health checks and boot entry, in ms. Default 20. */
  readonly stageMs?: number;
  /** Default 2: one process would be a bottleneck of its own. */
  readonly processes?: number;
  readonly signal: AbortSignal;
};

/** How long a process may take to answer, in seconds; connecting takes what the pace demands on top. */
const ANSWER_SECONDS = 60;

/** A fleet of simulated agents in processes of their own. They end with this process, or with `end`. */
export class SimulatedFleet {
  /** Public key of each machine, for `spec.identity.sshHostKey`. */
  readonly sshHostKeys: Readonly<Record<string, string>>;
  readonly #children: readonly ChildProcess[];
  readonly #signal: AbortSignal;

  private constructor(children: readonly ChildProcess[], keys: Readonly<Record<string, string>>, signal: AbortSignal) {
    this.#children = children;
    this.sshHostKeys = keys;
    this.#signal = signal;
  }

  /** Starts the processes and makes the keys; nothing connects yet. */
  static async make(options: SimulatedFleetOptions): Promise<SimulatedFleet> {
    const { namespace, machines, hub, processes = 2, stageMs = 20, signal } = options;
    const children = Array.from({ length: processes }, () => fork(join(import.meta.dirname, 'agents-main.ts')));
    try {
      const answers = await Promise.all(
        children.map((child, index) => {
          const own = machines.filter((_, at) => at % processes === index);
          return ask(child, { kind: 'make', namespace, machines: own, hub, stageMs }, 'made', { signal });
        }),
      );
      return new SimulatedFleet(children, Object.assign({}, ...answers.map((one) => one.sshHostKeys)), signal);
    } catch (error) {
      for (const child of children) child.kill('SIGKILL');
      throw error;
    }
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Lets all agents connect, `perSecond` over all processes; resolves when the last has begun to. */
  async start(closures: Readonly<Record<string, string>>, perSecond: number): Promise<void> {
    const each = perSecond / this.#children.length;
    const seconds = ANSWER_SECONDS + Object.keys(closures).length / perSecond;
    await Promise.all(
      this.#children.map((child) =>
        ask(child, { kind: 'start', closures, perSecond: each }, 'started', { signal: this.#signal, seconds }),
      ),
    );
  }

  /** What goes wrong with attempts that begin from now on; undefined: nothing. */
  async script(script: FleetScript | undefined): Promise<void> {
    await Promise.all(
      this.#children.map((child) => ask(child, { kind: 'script', script }, 'scripted', { signal: this.#signal })),
    );
  }

  /** When a machine first began with each closure, in ms since 1970. */
  async begun(): Promise<ReadonlyMap<string, number>> {
    const answers = await Promise.all(
      this.#children.map((child) => ask(child, { kind: 'report' }, 'begun', { signal: this.#signal })),
    );
    return new Map(answers.flatMap(({ at }) => Object.entries(at)));
  }

  /** Ends all processes and waits for them. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exited = once(child, 'exit');
        if (child.connected) child.disconnect();
        const kill = setTimeout(() => child.kill('SIGKILL'), 3000);
        await exited;
        clearTimeout(kill);
      }),
    );
  }
}

type Answer<K extends FromAgents['kind']> = Extract<FromAgents, { kind: K }>;

/** Asks a process and waits for its answer. Throws when it fails, ends, or takes too long. */
async function ask<K extends FromAgents['kind']>(
  child: ChildProcess,
  message: ToAgents,
  expected: K,
  { signal, seconds = ANSWER_SECONDS }: { signal: AbortSignal; seconds?: number },
): Promise<Answer<K>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const over = new AbortController();
  const within = { signal: AbortSignal.any([limit, over.signal]) };
  const exited = once(child, 'exit', within).then(([code]) => {
    throw new Error(`a process of simulated agents ended with code ${code}`);
  });
  const answered = once(child, 'message', within).then(([answer]) => answer as FromAgents);
  try {
    child.send(message);
    const answer = await Promise.race([answered, exited]);
    if (answer.kind === 'failed') throw new Error(`simulated agents: ${answer.message}`);
    if (answer.kind !== expected) throw new Error(`simulated agents answered ${answer.kind} to ${message.kind}`);
    return answer as Answer<K>;
  } finally {
    over.abort();
    await Promise.allSettled([exited, answered]);
  }
}
