// The HTTPS server of a replica: `GET /agent` becomes a WebSocket, `POST /agent/poll` is its stand-in.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { GREETING_BYTES, MAX_MESSAGE_BYTES } from '@floe/crds/protocol-limits';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import { RateLimit } from '../kube/rate-limit.ts';
import type { AgentHub } from './agent-hub.ts';
import type { Connection } from './connection.ts';
import { listen } from './listen.ts';
import { peerAddress } from './peer-address.ts';
import { PollServer } from './poll-server.ts';
import { CLOSE } from './session.ts';

export interface AgentServerOptions {
  /** PEM texts. */
  readonly tls: { readonly cert: string; readonly key: string };
  /** 0 takes a free one. */
  readonly port: number;
  readonly hub: AgentHub;
  /** Connections of agents at most. */
  readonly maxConnections: number;
  readonly log: Logger;
}

export interface AgentServer {
  readonly port: number;
  /** Takes a renewed certificate for connections from now on. */
  renew(tls: { cert: string; key: string }): void;
  /** Stops listening and destroys what is still open. */
  close(): Promise<void>;
}

/** Connections that one address may make at once, and each second in the long run; behind a Service all are one. */
const ADDRESS_LIMIT = { burst: 2000, perSecond: 500 };
/** Close code of RFC 6455 for a message that is too large. */
const TOO_LARGE = 1009;
/** How long a peer may take to answer a close before its socket is destroyed. */
const CLOSE_MS = 5000;
/** How long an idle connection is kept: longer than an agent takes to its next long poll. */
const KEEP_ALIVE_MS = 75_000;
/** Connections beyond those of agents: handshakes and answers that are under way. */
const OTHER_CONNECTIONS = 1000;

/** Starts the server; rejects when the port is taken or the certificate can't be read. */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const { hub, log, maxConnections } = options;
  const addresses = new RateLimit(ADDRESS_LIMIT);
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    // There are none, whatever a client offers.
    handleProtocols: () => false,
  });
  const polls = new PollServer({ hub, maxConnections, addresses });
  const server = createServer({
    ...options.tls,
    minVersion: 'TLSv1.2',
    // Whoever is slow to shake hands or to ask holds a socket for so long and no longer.
    handshakeTimeout: 15_000,
    headersTimeout: 15_000,
    connectionsCheckingInterval: 5000,
    requestTimeout: 120_000,
    keepAliveTimeout: KEEP_ALIVE_MS,
  });
  server.maxConnections = maxConnections + OTHER_CONNECTIONS;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    route(request, response, { ...options, polls });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { host } = request.headers;
    const address = peerAddress(request.socket);
    // Without a listener an error on a socket that is being refused would end the process.
    socket.on('error', () => socket.destroy());
    // The limit comes first: what is refused for another reason has cost as much.
    if (!addresses.take(address, performance.now() / 1000)) refuseUpgrade(socket, '429 Too Many Requests');
    else if (pathOf(request) !== '/agent') refuseUpgrade(socket, '404 Not Found');
    else if (host === undefined) refuseUpgrade(socket, '400 Bad Request');
    else if (hub.connections >= maxConnections) refuseUpgrade(socket, '503 Service Unavailable');
    else sockets.handleUpgrade(request, socket, head, (ws) => serve(ws, { hub, host, address, raw: socket }));
  });
  server.on('tlsClientError', (error) => log.debug({ err: error }, 'TLS handshake failed'));
  await listen(server, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    renew: (tls) => server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    close: () => {
      polls.close();
      return closeServer(server, sockets);
    },
  };
}

/** Ties a WebSocket to a connection of the hub. */
function serve(
  ws: WebSocket,
  { hub, host, address, raw }: { hub: AgentHub; host: string; address: string; raw: Duplex },
): void {
  const socket = {
    send: (text: string) => ws.send(text, () => undefined),
    ping: () => ws.ping(),
    close: (code: number, reason: string) => {
      ws.close(code, reason);
      setTimeout(() => ws.terminate(), CLOSE_MS).unref();
    },
    get bufferedAmount() {
      return ws.bufferedAmount;
    },
  };
  const connection = hub.accept(socket, { host, address, transport: 'websocket' });
  limitGreeting(ws, raw, connection);
  ws.on('message', (data: Buffer, isBinary: boolean) => {
    // The rest of a chunk of which the beginning was too much.
    if (ws.readyState !== ws.OPEN) return;
    if (isBinary) connection.handle({ kind: 'malformed', message: 'send JSON as text frames' });
    else connection.text(data.toString('utf8'));
  });
  ws.on('ping', () => connection.handle({ kind: 'pong' }));
  ws.on('pong', () => connection.handle({ kind: 'pong' }));
  // Broken frames, oversized ones, resets: ws closes the socket itself, and `close` follows.
  ws.on('error', () => ws.terminate());
  ws.on('close', () => hub.left(connection));
}

/** Cuts off whoever sends more than a hello before it is let in, whatever frames it is in. */
function limitGreeting(ws: WebSocket, raw: Duplex, connection: Connection): void {
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
    if (connection.phase !== 'greeting') raw.off('data', count);
    else if (bytes > GREETING_BYTES) {
      raw.off('data', count);
      ws.close(TOO_LARGE, 'more than a hello before the welcome');
      ws.terminate();
    }
  };
  // Before ws, which would take the message that goes beyond.
  raw.prependListener('data', count);
}

function route(
  request: IncomingMessage,
  response: ServerResponse,
  options: AgentServerOptions & { readonly polls: PollServer },
): void {
  const path = pathOf(request);
  if (path === '/agent/poll') {
    void options.polls.serve(request, response);
    return;
  }
  const [status, error] = path === '/agent' ? [426, 'this is a WebSocket'] : [404, 'there is nothing here'];
  response.writeHead(status, {
    'content-type': 'application/json',
    connection: 'close',
    ...(status === 426 ? { upgrade: 'websocket' } : {}),
  });
  response.end(JSON.stringify({ error }));
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?')[0] ?? '/';
}

/** Answers and ends the connection for good: who was refused decides nothing about when its socket is closed. */
function refuseUpgrade(socket: Duplex, status: string): void {
  const retry = status.startsWith('429') || status.startsWith('503') ? 'Retry-After: 5\r\n' : '';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n${retry}Content-Length: 0\r\n\r\n`, () => socket.destroy());
  setTimeout(() => socket.destroy(), CLOSE_MS).unref();
}

async function closeServer(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const ws of sockets.clients) ws.close(CLOSE.restart, 'this replica ends');
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    for (const ws of sockets.clients) ws.terminate();
    server.closeAllConnections();
  }, 500);
  await closed;
  clearTimeout(timer);
}
