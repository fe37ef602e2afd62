// Serves `POST /agent/poll`: who may ask, within which limits, and to which channel a request belongs.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parsePollRequest } from '@floe/crds/parse';
import { faultOf } from '@floe/crds/parsed';
import type { PollRequest } from '@floe/crds/poll';
import { GREETING_BYTES, MAX_POLL_BYTES } from '@floe/crds/protocol-limits';
import { RateLimit } from '../kube/rate-limit.ts';
import type { AgentHub } from './agent-hub.ts';
import type { Connection } from './connection.ts';
import { peerAddress } from './peer-address.ts';
import { PollChannel } from './poll-channel.ts';
import { readBody } from './read-body.ts';

/** Seconds for a body to arrive. */
const BODY_SECONDS = 15;
/** Seconds that a channel which has ended can still be asked for its last words, and how many such there may be. */
const LINGER_SECONDS = 30;
const LINGERING = 1000;
/** Seconds that the connection of a channel is kept idle before its hello has held; afterwards as the server says. */
const STRANGER_IDLE_SECONDS = 15;
/** Requests of one channel at once, and each second in the long run. */
const REQUESTS = { burst: 60, perSecond: 10 };

type Open = { readonly channel: PollChannel; readonly connection: Connection };
type Refused = { readonly status: number; readonly error: string; readonly retryAfter?: number };

export interface PollServerOptions {
  readonly hub: AgentHub;
  readonly maxConnections: number;
  /** Shared with the WebSockets: an address opens no more than its share by either way. */
  readonly addresses: RateLimit;
}

export class PollServer {
  readonly #options: PollServerOptions;
  readonly #channels = new Map<string, Open>();
  readonly #lingering = new Map<string, NodeJS.Timeout>();
  readonly #requests = new RateLimit(REQUESTS);

  constructor(options: PollServerOptions) {
    this.#options = options;
  }

  /** Channels that are open, and those that may still be asked for their last words. */
  get size(): number {
    return this.#channels.size;
  }

  /** Answers one request; never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A peer that goes away in mid-request or mid-answer ends only that.
    response.on('error', () => undefined);
    const refused = await this.#take(request, response).catch((error: unknown) => ({
      status: 400,
      error: error instanceof Error ? error.message : String(error),
    }));
    if (refused === undefined || response.headersSent || response.destroyed) return;
    const { status, error, retryAfter } = refused as Refused;
    send(response, status, { error }, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) });
  }

  /** Forgets all channels without a word. */
  close(): void {
    for (const { channel } of this.#channels.values()) channel[Symbol.dispose]();
    for (const timer of this.#lingering.values()) clearTimeout(timer);
    this.#channels.clear();
    this.#lingering.clear();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<Refused | undefined> {
    if (request.method !== 'POST') return { status: 405, error: 'use POST' };
    if (request.headers['content-encoding'] !== undefined) {
      return { status: 415, error: 'send JSON as it is, not compressed' };
    }
    const token = /^Bearer ([A-Za-z0-9_-]{32,128})$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return this.#open(request, response);
    const known = this.#channels.get(token);
    if (known === undefined) {
      const allowed = this.#options.addresses.take(peerAddress(request.socket), seconds());
      return allowed ? { status: 410, error: 'this replica knows no such channel; open a new one' } : tooMany;
    }
    if (!this.#requests.take(token, seconds())) {
      known.connection.handle({ kind: 'malformed', message: `more than ${REQUESTS.perSecond} requests per second` });
      return tooMany;
    }
    return this.#continue(known, request, response);
  }

  async #open(request: IncomingMessage, response: ServerResponse): Promise<Refused | undefined> {
    const { hub, maxConnections, addresses } = this.#options;
    const { host } = request.headers;
    if (host === undefined) return { status: 400, error: 'a Host header is missing' };
    if (hub.connections >= maxConnections) return { status: 503, error: 'this replica is full', retryAfter: 5 };
    const address = peerAddress(request.socket);
    if (!addresses.take(address, seconds())) return tooMany;
    if ((await readBody(request, { bytes: 1024, seconds: BODY_SECONDS })) === undefined) {
      return { status: 413, error: 'the request that opens a channel has no body, or {}' };
    }
    const channel = new PollChannel();
    const connection = hub.accept(channel, { host, address, transport: 'poll' });
    channel.listener = {
      onAlive: () => connection.handle({ kind: 'pong' }),
      onText: (text) => connection.text(text),
      onGap: (message) => connection.handle({ kind: 'malformed', message }),
      onGone: () => {
        hub.left(connection);
        this.#linger(channel.id);
      },
    };
    this.#channels.set(channel.id, { channel, connection });
    leaveSoon(response);
    channel.open((answer) => send(response, 200, answer));
    return undefined;
  }

  async #continue(open: Open, request: IncomingMessage, response: ServerResponse): Promise<Refused | undefined> {
    const { channel, connection } = open;
    if (connection.peer === undefined) leaveSoon(response);
    const limit = connection.phase === 'greeting' ? GREETING_BYTES : MAX_POLL_BYTES;
    const text = await readBody(request, { bytes: limit, seconds: BODY_SECONDS });
    if (text === undefined) {
      connection.handle({ kind: 'malformed', message: `a body is larger than ${limit} bytes` });
      return { status: 413, error: `the body is larger than ${limit} bytes` };
    }
    const parsed = parseBody(text);
    if (typeof parsed === 'string') {
      connection.handle({ kind: 'malformed', message: parsed });
      return { status: 400, error: parsed };
    }
    const gone = channel.take(parsed, (answer) => send(response, 200, answer));
    response.once('close', gone);
    return undefined;
  }

  /** An ended channel stays a while, so that its last words survive a lost answer; the oldest go first. */
  #linger(id: string): void {
    if (!this.#channels.has(id)) return;
    const forget = () => {
      this.#channels.get(id)?.channel[Symbol.dispose]();
      this.#channels.delete(id);
      clearTimeout(this.#lingering.get(id));
      this.#lingering.delete(id);
    };
    this.#lingering.set(id, setTimeout(forget, LINGER_SECONDS * 1000).unref());
    for (const [oldest, timer] of this.#lingering) {
      if (this.#lingering.size <= LINGERING) break;
      clearTimeout(timer);
      this.#lingering.delete(oldest);
      this.#channels.get(oldest)?.channel[Symbol.dispose]();
      this.#channels.delete(oldest);
    }
  }
}

const tooMany: Refused = { status: 429, error: 'too many requests', retryAfter: 5 };

/** The request, or a sentence that says what is wrong with it. */
function parseBody(text: string): PollRequest | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'the body is not JSON';
  }
  const parsed = parsePollRequest(json);
  return parsed.ok ? parsed.value : faultOf(parsed);
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  // After a refusal the rest of a body may still be on its way: nobody waits for it.
  const close = status >= 400 ? { connection: 'close' } : {};
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...close,
    ...headers,
  });
  response.end(text);
}

/** Strangers can't fill the places of others with connections that they leave idle. */
function leaveSoon(response: ServerResponse): void {
  const { socket } = response;
  response.setHeader('keep-alive', `timeout=${STRANGER_IDLE_SECONDS}`);
  // After Node's own listener, which sets the limit of all connections.
  response.once('finish', () => socket?.setTimeout(STRANGER_IDLE_SECONDS * 1000));
}

const seconds = (): number => performance.now() / 1000;
