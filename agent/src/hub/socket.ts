// One WebSocket to the hub: sends and receives whole protocol messages, and nothing malformed gets past it.
import type { SecureContext } from 'node:tls';
import { parseHubMessage } from '@floe/crds/parse';
import type { AgentMessage, HubMessage } from '@floe/crds/protocol';
import { HELLO_TIMEOUT_SECONDS, MAX_MESSAGE_BYTES } from '@floe/crds/protocol-limits';
import WebSocket from 'ws';

/** Why a connection ended. */
export type Ended = { readonly reason: string };

export interface HubSocket {
  send(message: AgentMessage): void;
  /** The next message; undefined once the connection has ended. Rejects when the signal aborts. */
  receive(signal: AbortSignal): Promise<HubMessage | undefined>;
  /** Sends a ping; the answer counts as a sign of life. */
  ping(): void;
  /** Pings without any sign of life since. */
  readonly unanswered: number;
  close(code: number, reason: string): void;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly ended: Promise<Ended>;
}

export type Address = {
  /** `https://host:port` of the hub. */
  readonly url: string;
  /** Shared by all connections of a process; absent: what Node trusts. */
  readonly tls: SecureContext | undefined;
};

/** Messages that may wait to be read; a hub that sends more has lost its mind. */
const MAX_WAITING = 256;
/** RFC 6455: a message of a type or form that can't be accepted. */
const POLICY = 1008;

/** Dials the hub. The socket is returned at once; `ended` says if it never opened. */
export function dial({ url, tls }: Address): HubSocket {
  const target = new URL('/agent', url);
  target.protocol = 'wss:';
  const socket = new WebSocket(target, {
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HELLO_TIMEOUT_SECONDS * 1000,
    perMessageDeflate: false,
    followRedirects: false,
    ...(tls === undefined ? {} : { secureContext: tls }),
  });
  return new OpenSocket(socket);
}

class OpenSocket implements HubSocket {
  readonly ended: Promise<Ended>;
  unanswered = 0;
  readonly #socket: WebSocket;
  readonly #waiting: HubMessage[] = [];
  #wake: () => void = () => undefined;
  #end: Ended | undefined;
  #failure: string | undefined;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on('pong', () => this.#alive());
    socket.on('ping', () => this.#alive());
    socket.on('error', (error) => {
      this.#failure ??= error.message;
    });
    this.ended = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        const said = reason.toString('utf8').slice(0, 200);
        this.#end = { reason: this.#failure ?? `closed with code ${code}${said === '' ? '' : `: ${said}`}` };
        this.#wake();
        resolve(this.#end);
      });
    });
  }

  send(message: AgentMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  ping(): void {
    this.unanswered += 1;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  async receive(signal: AbortSignal): Promise<HubMessage | undefined> {
    for (;;) {
      signal.throwIfAborted();
      const message = this.#waiting.shift();
      if (message !== undefined) return message;
      if (this.#end !== undefined) return undefined;
      await this.#change(signal);
    }
  }

  close(code: number, reason: string): void {
    this.#failure ??= reason;
    // Ends at once where it never opened; else the other side has a moment to answer.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason.slice(0, 100));
    else this.#socket.terminate();
    setTimeout(() => this.#socket.terminate(), 2_000).unref();
  }

  #alive(): void {
    this.unanswered = 0;
  }

  #onMessage(data: WebSocket.RawData, isBinary: boolean): void {
    this.#alive();
    if (this.#failure !== undefined) return;
    const parsed = isBinary ? undefined : parse(data.toString());
    if (parsed === undefined) this.close(POLICY, 'a message of the hub is not JSON');
    else if (!parsed.ok) this.close(POLICY, `a message of the hub is malformed: ${parsed.field}: ${parsed.message}`);
    else if (this.#waiting.length >= MAX_WAITING) this.close(POLICY, 'the hub sends faster than it is read');
    else {
      this.#waiting.push(parsed.value);
      this.#wake();
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
    });
  }
}

function parse(text: string): ReturnType<typeof parseHubMessage> | undefined {
  try {
    return parseHubMessage(JSON.parse(text));
  } catch {
    return undefined;
  }
}
