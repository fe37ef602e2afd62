// Runs scripts on a machine over one connection, which is made anew when it breaks: all scripts may be run twice.
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '@floe/agent/backoff';
import type { Endpoint } from '@floe/agent/machine/network';
import { type Address, type ScriptOptions, type ScriptResult, SshConnection, SshError } from './connection.ts';
import { scriptText } from './scripts.ts';

/** How long a machine that was reached before may be away, in the middle of something. */
const PATIENCE_MS = 120_000;

export type LinkOptions = {
  readonly address: Address;
  readonly dial?: typeof SshConnection.open;
  readonly patienceMs?: number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
};

export class Link {
  readonly #options: LinkOptions;
  #connection: SshConnection | undefined;
  #reached = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Runs a script with arguments; see scripts.ts. Rejects with SshError when the machine stays away. */
  run(script: string, args: readonly string[], options: ScriptOptions): Promise<ScriptResult> {
    const { user } = this.#options.address;
    const text = scriptText(script, args);
    return this.#patiently((connection) => connection.run(text, options, user), options.signal);
  }

  /** Connects from the machine. Rejects with the words of its SSH server, or with SshError when the machine stays away. */
  dial(to: Endpoint, signal: AbortSignal): Promise<Duplex> {
    return this.#patiently((connection) => connection.dial(to, signal), signal);
  }

  async #patiently<T>(work: (connection: SshConnection) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { patienceMs = PATIENCE_MS, sleep = pauseFor } = this.#options;
    const since = performance.now();
    for (let tries = 0; ; tries++) {
      try {
        return await work(await this.#connected(signal));
      } catch (error) {
        signal.throwIfAborted();
        const isAway = error instanceof SshError && error.fault === 'unreachable';
        if (!isAway || !this.#reached || performance.now() - since > patienceMs) throw error;
        await sleep(backoffMs(tries, { baseMs: 500, maxMs: 5_000 }), signal);
      }
    }
  }

  /** Runs a script once over a connection of its own: what proves that the machine can be reached anew. */
  async runAnew(script: string, args: readonly string[], options: ScriptOptions): Promise<ScriptResult> {
    const { address, dial = SshConnection.open } = this.#options;
    const connection = await dial(address, options.signal);
    try {
      return await connection.run(scriptText(script, args), options, address.user);
    } finally {
      connection.close();
    }
  }

  close(): void {
    this.#connection?.close();
  }

  async #connected(signal: AbortSignal): Promise<SshConnection> {
    if (this.#connection !== undefined && !this.#connection.closed) return this.#connection;
    const { address, dial = SshConnection.open } = this.#options;
    this.#connection = await dial(address, signal);
    this.#reached = true;
    return this.#connection;
  }
}

const pauseFor = (ms: number, signal: AbortSignal) => pause(ms, undefined, { signal });
