// One SSH connection to a machine: the host key is checked before anything is said, and scripts run with limits.
import type { Duplex } from 'node:stream';
import type { Endpoint } from '@floe/agent/machine/network';
import { Client, type ConnectConfig } from 'ssh2';

/** How a machine is reached, and who it has to be. */
export type Address = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The key of `spec.identity.sshHostKey` in canonical base64, without its type. */
  readonly hostKey: string;
  /** Private key in the form of OpenSSH. */
  readonly privateKey: string;
};

/** Why a machine was not reached. */
export type Fault = 'hostKey' | 'login' | 'key' | 'unreachable';

export class SshError extends Error {
  override readonly name = 'SshError';
  readonly fault: Fault;

  constructor(fault: Fault, message: string, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

/** What a script came to. */
export type ScriptResult = {
  /** Undefined where a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
};

export type ScriptOptions = { readonly signal: AbortSignal; readonly limitSeconds: number };

/** From dialling to being logged in. */
const READY_SECONDS = 20;
const KEEPALIVE_MS = 10_000;
/** Unanswered ones after which the connection is dead. */
const KEEPALIVES = 3;
/** Output that is kept of each stream. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export class SshConnection {
  readonly #client: Client;
  #closed = false;

  private constructor(client: Client) {
    this.#client = client;
    client.on('close', () => {
      this.#closed = true;
    });
    client.on('error', () => {
      this.#closed = true;
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Makes a new connection. Rejects with SshError, or with the reason of the signal. */
  static open(address: Address, signal: AbortSignal): Promise<SshConnection> {
    const { host, port, user, hostKey, privateKey } = address;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const client = new Client();
      let stranger: string | undefined;
      const end = (error: unknown) => {
        signal.removeEventListener('abort', stop);
        client.destroy();
        reject(error);
      };
      const stop = () => end(signal.reason);
      signal.addEventListener('abort', stop, { once: true });
      client.once('ready', () => {
        signal.removeEventListener('abort', stop);
        client.removeAllListeners();
        // A script is a dozen small packets: held back for one another's acknowledgements, each takes 40 ms more.
        client.setNoDelay(true);
        resolve(new SshConnection(client));
      });
      client.once('close', () => end(new SshError('unreachable', `${host}:${port} closed the connection`)));
      client.on('error', (error) => end(faultOf(error, address, stranger)));
      const config: ConnectConfig = {
        host,
        port,
        username: user,
        privateKey,
        authHandler: ['publickey'],
        readyTimeout: READY_SECONDS * 1000,
        keepaliveInterval: KEEPALIVE_MS,
        keepaliveCountMax: KEEPALIVES,
        // The only kind that an identity can be; the machine must show that one, whatever others it has.
        algorithms: { serverHostKey: ['ssh-ed25519'] },
        hostVerifier: (key: Buffer) => {
          const shown = key.toString('base64');
          if (shown === hostKey) return true;
          stranger = shown;
          return false;
        },
      };
      try {
        client.connect(config);
      } catch (error) {
        end(new SshError('key', `the private key can't be read: ${textOf(error)}`, error));
      }
    });
  }

  /**
   * Runs a script of sh and returns how it ended. Rejects with SshError when the connection ends or the limit is over;
   * what the script started may go on then.
   */
  run(script: string, { signal, limitSeconds }: ScriptOptions, user = 'root'): Promise<ScriptResult> {
    const cut = new SshError('unreachable', 'the connection ended in the middle of a script');
    const limit = new AbortController();
    const late = new SshError('unreachable', `no end of a script within ${limitSeconds} s`);
    const timer = setTimeout(() => limit.abort(late), limitSeconds * 1000);
    const until = { signal: AbortSignal.any([signal, limit.signal]), cut, onFailure: () => this.close() };
    return this.#whileOpen<ScriptResult>(until, (resolve, reject) => {
      // The command is always the same, so that an account may be bound to it.
      this.#client.exec(user === 'root' ? '/bin/sh -s' : 'sudo -n /bin/sh -s', (error, stream) => {
        if (error !== undefined) {
          reject(new SshError('unreachable', `no script can be run: ${error.message}`, error));
          return;
        }
        const out = collect();
        const err = collect();
        stream.on('data', out.take);
        stream.stderr.on('data', err.take);
        let code: number | undefined;
        let ended = false;
        stream.on('exit', (given: number | null) => {
          ended = true;
          code = given ?? undefined;
        });
        stream.on('error', (cause: unknown) => reject(new SshError('unreachable', textOf(cause), cause)));
        stream.on('close', () => {
          if (ended) resolve({ code, stdout: out.text(), stderr: err.text() });
          else reject(cut);
        });
        stream.end(script);
      });
    }).finally(() => clearTimeout(timer));
  }

  /**
   * Connects from the machine to a port of it, or of a host that it reaches. Rejects with SshError when the connection
   * ends, with the words of the machine's SSH server where it makes none, or with the reason of the signal.
   */
  dial({ host, port }: Endpoint, signal: AbortSignal): Promise<Duplex> {
    const cut = new SshError('unreachable', 'the connection ended while a port was tried');
    return this.#whileOpen<Duplex>({ signal, cut }, (resolve, reject) => {
      this.#client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
        if (error !== undefined) {
          reject(new Error(refusal(error), { cause: error }));
          return;
        }
        // An error between the connection and its first use must not end the process.
        channel.on('error', () => undefined);
        if (signal.aborted) channel.destroy();
        else resolve(channel);
      });
    });
  }

  close(): void {
    this.#closed = true;
    this.#client.destroy();
  }

  /** Settles as `begin` does. Rejects when the signal aborts, and with `cut` when the connection ends before. */
  async #whileOpen<T>(
    { signal, cut, onFailure }: { signal: AbortSignal; cut: SshError; onFailure?: () => void },
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    signal.throwIfAborted();
    if (this.#closed) throw new SshError('unreachable', 'the connection has ended');
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const stop = () => reject(signal.reason);
    const gone = () => reject(cut);
    signal.addEventListener('abort', stop, { once: true });
    this.#client.once('close', gone);
    try {
      begin(resolve, reject);
      return await promise;
    } catch (error) {
      onFailure?.();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#client.off('close', gone);
    }
  }
}

function collect(): { take(chunk: Buffer): void; text(): string } {
  const chunks: Buffer[] = [];
  let size = 0;
  return {
    take(chunk) {
      size += chunk.length;
      if (size <= MAX_OUTPUT_BYTES) chunks.push(chunk);
    },
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}

/** Why an SSH server opened no channel to a port; the codes are those of RFC 4254, 5.1. */
export function refusal(error: Error & { readonly reason?: unknown }): string {
  const said = error.message.replace(/^\(SSH\) Channel open failure: /, '');
  if (error.reason !== 1) return said || 'the machine reaches nobody there';
  return `its SSH server forwards no connections (${said}), which checks over http and tcp need: set AllowTcpForwarding yes`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function faultOf(error: Error & { level?: string }, { host, port, user }: Address, stranger?: string): SshError {
  const where = `${host}:${port}`;
  if (stranger !== undefined) {
    const message = `${where} shows another SSH host key (ssh-ed25519 ${stranger}) than spec.identity.sshHostKey; correct it if the machine was set up anew`;
    return new SshError('hostKey', message, error);
  }
  if (error.level === 'client-authentication') {
    const message = `${where} does not let ${user} in with this key; add its public half to authorized_keys`;
    return new SshError('login', message, error);
  }
  return new SshError('unreachable', `${where} is not reached: ${error.message}`, error);
}
