// Proxies for tests on loopback: one that knows CONNECT, one that looks into TLS and lets no upgrade through, one that speaks SOCKS5.
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export type TestProxy = {
  readonly port: number;
  /** What it was asked for: `host:port` of a CONNECT, or method and path of a request that it looked into. */
  readonly asked: string[];
  close(): Promise<void>;
};

async function listening(server: Server, sockets: Set<Duplex>, asked: string[]): Promise<TestProxy> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function join(one: Duplex, other: Duplex): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
    from.pipe(to);
  }
}

/** A proxy that tunnels; with `credentials` (`user:password`) only for who shows them. `refuse` answers every CONNECT with a status. */
export function connectProxy({
  credentials,
  refuse,
}: {
  credentials?: string;
  refuse?: number;
} = {}): Promise<TestProxy> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createHttpServer((_, response) => response.writeHead(501).end());
  server.on('connect', (request: IncomingMessage, socket: Duplex) => {
    asked.push(request.url ?? '');
    const wanted = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    const isWelcome = wanted === undefined || request.headers['proxy-authorization'] === wanted;
    const status = refuse ?? (isWelcome ? undefined : 407);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const hub = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      join(socket, hub);
    });
    hub.on('error', () => socket.destroy());
    sockets.add(hub);
  });
  return listening(server, sockets, asked);
}

/** What it does with an upgrade. */
export type OnUpgrade = 'refuse' | 'drop' | 'ignore';

/** A proxy that ends TLS with a certificate of its own and passes plain requests on, each over a connection of its own. */
export function inspectingProxy(
  tls: { readonly cert: string; readonly key: string },
  onUpgrade: OnUpgrade = 'refuse',
): Promise<TestProxy & { loseAnswers: number }> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  const state = { loseAnswers: 0 };
  const inner = createHttpsServer(tls, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const lose = state.loseAnswers > 0;
    if (lose) state.loseAnswers -= 1;
    forward(request, response, lose);
  });
  inner.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    asked.push(`UPGRADE ${request.url}`);
    socket.on('error', () => undefined);
    if (onUpgrade === 'drop') socket.destroy();
    if (onUpgrade === 'refuse') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    sockets.add(socket);
  });
  const server = createHttpServer((_, response) => response.writeHead(501).end());
  server.on('connect', (_: IncomingMessage, socket: Duplex) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    inner.emit('connection', socket);
  });
  return listening(server, sockets, asked).then((proxy) =>
    Object.defineProperty(proxy as TestProxy & { loseAnswers: number }, 'loseAnswers', {
      get: () => state.loseAnswers,
      set: (count: number) => {
        state.loseAnswers = count;
      },
    }),
  );
}

function forward(request: IncomingMessage, response: ServerResponse, lose: boolean): void {
  const passed = httpsRequest(
    {
      host: '127.0.0.1',
      port: Number(request.headers.host?.split(':')[1]),
      path: request.url,
      rejectUnauthorized: false,
    },
    (answer) => {
      if (lose) {
        answer.resume();
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  passed.method = request.method ?? 'GET';
  for (const [name, value] of Object.entries(request.headers)) if (value !== undefined) passed.setHeader(name, value);
  passed.on('error', () => response.destroy());
  // Who asked may go away in the very moment in which the answer comes.
  response.on('error', () => undefined);
  response.on('close', () => passed.destroy());
  request.pipe(passed);
}

/** A SOCKS5 proxy (RFC 1928) without authentication; names resolve to loopback, whatever they are. */
export function socksProxy(): Promise<TestProxy> {
  const asked: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (wanted: Buffer) => {
        const isName = wanted[3] === 3;
        const length = isName ? (wanted[4] ?? 0) : 4;
        const start = isName ? 5 : 4;
        const bytes = wanted.subarray(start, start + length);
        const port = wanted.readUInt16BE(start + length);
        asked.push(`${isName ? `name ${bytes.toString()}` : `address ${[...bytes].join('.')}`}:${port}`);
        const hub = connect(port, '127.0.0.1', () => {
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
          join(socket, hub);
        });
        hub.on('error', () => socket.destroy());
        sockets.add(hub);
      });
    });
  });
  return listening(server, sockets, asked);
}
