// An agent in this process with a machine in memory: the real session, journal order and confirmation, for tests and benchmarks.
import type { SecureContext } from 'node:tls';
import { Agent } from './agent.ts';
import type { Clock } from './attempt/ports.ts';
import { confirmOnce } from './hub/confirm.ts';
import type { Caller } from './hub/connect.ts';
import type { HubProxy } from './hub/proxy.ts';
import { TransportMemory } from './hub/transport.ts';
import { makeHostKey } from './identity/make-host-key.ts';
import type { HostKey } from './identity/openssh-key.ts';
import { Ledger } from './journal/ledger.ts';
import { MemoryJournal, memoryLock } from './journal/memory-journal.ts';
import { type Log, lineLog } from './log.ts';
import { realClock } from './real-clock.ts';
import { type Behaviour, SimulatedMachine } from './simulated/simulated-machine.ts';
import type { TruthKeeper } from './truth/keeper.ts';
import { AGENT_VERSION } from './version.ts';

export type SimulatedAgentOptions = {
  /** `https://host:port`. */
  readonly hub: string;
  /** One context for all agents of a process: `createSecureContext({ ca })`. Absent: what Node trusts. */
  readonly tls?: SecureContext;
  /** What stands between the agent and the hub. */
  readonly proxy?: HubProxy;
  readonly joinToken?: string;
  readonly namespace: string;
  readonly machine: string;
  /** Default: a new key. */
  readonly key?: HostKey;
  /** Closure that runs at first. */
  readonly closure: string;
  /** What the machine makes of a closure; default: takes 20 ms for each stage and works. */
  readonly behaviour?: (closure: string) => Behaviour;
  /** Whether the machine can be restarted; default false. */
  readonly reboots?: boolean;
  /** What was kept last, for a machine that somebody else changes, too; default: nobody does. */
  readonly truth?: TruthKeeper;
  readonly log?: Log;
  readonly clock?: Clock;
  /** Seconds between looks at the machine; default 3600, since a simulated machine changes by orders only. */
  readonly watchSeconds?: number;
};

/** A simulated agent; `publicKey` is what its NixMachine needs as `spec.identity.sshHostKey`. */
export class SimulatedAgent {
  readonly machine: SimulatedMachine;
  readonly journal = new MemoryJournal();
  readonly publicKey: string;
  readonly #agent: Agent;

  constructor(options: SimulatedAgentOptions) {
    const { clock = realClock, key = makeHostKey(), log = lineLog(() => undefined, false) } = options;
    const behaviour = options.behaviour ?? (() => ({ fetchMs: 20, switchMs: 20, healthMs: 20 }));
    this.machine = new SimulatedMachine({ closure: options.closure, behaviour, reboots: options.reboots ?? false });
    this.publicKey = key.publicKey;
    const caller: Caller = {
      address: { url: options.hub, tls: options.tls, proxy: options.proxy },
      namespace: options.namespace,
      machine: options.machine,
      key,
      agent: { version: AGENT_VERSION },
      transports: new TransportMemory(),
      joinToken: options.joinToken,
    };
    this.#agent = new Agent({
      machine: this.machine,
      hub: { confirm: (attempt, closure, signal) => confirmOnce(caller, attempt, closure, signal) },
      caller: async () => caller,
      ledger: new Ledger(this.journal, memoryLock()),
      clock,
      log,
      watchSeconds: options.watchSeconds ?? 3600,
      ...(options.truth === undefined ? {} : { truth: options.truth }),
    });
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    // One listener each: a thousand agents on one signal would search through each other's.
    const own = new AbortController();
    const stop = () => own.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await this.#agent.run(own.signal);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
