// One WebSocket to the hub: sends and receives whole protocol messages, and nothing malformed gets past it.
import type { ClientRequest } from 'node:http';
import type { AgentMessage, HubMessage } from '@floe/crds/protocol';
import { HELLO_TIMEOUT_SECONDS, MAX_MESSAGE_BYTES } from '@floe/crds/protocol-limits';
import WebSocket from 'ws';
import type { Address, Ended, HubSocket } from './hub-socket.ts';
import { Inbox } from './inbox.ts';
import { type Route, routeTo } from './route.ts';

/** RFC 6455: a message of a type or form that can't be accepted. */
const POLICY = 1008;
/** Answers to the upgrade that come from a hub which has no room: another way would find none either. */
const BUSY = [429, 503];

/** Dials the hub. The socket is returned at once; `ended` says if it never opened. */
export function dial(address: Address): HubSocket {
  const target = new URL('/agent', address.url);
  target.protocol = 'wss:';
  const over = new AbortController();
  const route = routeTo(address, over.signal);
  let secured = false;
  const socket = new WebSocket(target, {
    maxPayload: MAX_MESSAGE_BYTES,
    handshakeTimeout: HELLO_TIMEOUT_SECONDS * 1000,
    perMessageDeflate: false,
    followRedirects: false,
    ...(address.proxy === undefined ? {} : { agent: route.agent }),
    ...route.options,
    finishRequest: (request: ClientRequest) => {
      route.watch(request);
      request.once('socket', (own) => own.once('secureConnect', () => (secured = true)));
      request.end();
    },
  });
  socket.once('close', () => over.abort());
  return new OpenSocket(socket, route, () => secured);
}

class OpenSocket implements HubSocket {
  readonly transport = 'websocket';
  unanswered = 0;
  readonly #socket: WebSocket;
  readonly #inbox = new Inbox();
  readonly #route: Route;
  readonly #isSecured: () => boolean;
  /** Status of an answer that is no upgrade. */
  #refusedWith: number | undefined;
  #failure: string | undefined;

  constructor(socket: WebSocket, route: Route, isSecured: () => boolean) {
    this.#socket = socket;
    this.#route = route;
    this.#isSecured = isSecured;
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    socket.on('pong', () => this.#alive());
    socket.on('ping', () => this.#alive());
    socket.on('unexpected-response', (_, response) => {
      this.#refusedWith = response.statusCode;
      response.resume();
      this.#failure ??= `the upgrade to a WebSocket was answered with ${response.statusCode}`;
      socket.terminate();
    });
    socket.on('error', (error) => {
      this.#failure ??= this.#route.words(error);
    });
    socket.once('close', (code, reason) => this.#onClose(code, reason.toString('utf8').slice(0, 200)));
  }

  get ended(): Promise<Ended> {
    return this.#inbox.ended;
  }

  send(message: AgentMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  ping(): void {
    this.unanswered += 1;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  receive(signal: AbortSignal): Promise<HubMessage | undefined> {
    return this.#inbox.next(signal);
  }

  close(code: number, reason: string): void {
    this.#failure ??= reason;
    // Ends at once where it never opened; else the other side has a moment to answer.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code, reason.slice(0, 100));
    else this.#socket.terminate();
    setTimeout(() => this.#socket.terminate(), 2_000).unref();
  }

  #onClose(code: number, said: string): void {
    const reason = this.#failure ?? `closed with code ${code}${said === '' ? '' : `: ${said}`}`;
    const busy = this.#refusedWith !== undefined && BUSY.includes(this.#refusedWith);
    const blocked = this.#isSecured() && this.#inbox.count === 0 && !busy && !this.#route.refusedByProxy;
    this.#inbox.end({ reason: this.#route.explain(reason), blocked });
  }

  #alive(): void {
    this.unanswered = 0;
  }

  #onMessage(data: WebSocket.RawData, isBinary: boolean): void {
    this.#alive();
    if (this.#failure !== undefined) return;
    const value = isBinary ? undefined : parse(data.toString());
    const fault = value === undefined ? 'a message of the hub is not JSON' : this.#inbox.take(value);
    if (fault !== undefined) this.close(POLICY, fault);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
