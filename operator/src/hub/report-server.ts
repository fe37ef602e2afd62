// The HTTPS server to which build Jobs report; its port is for pods of the cluster alone.
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from 'pino';
import { answerBuildReport, type BuildReportHandler, ReportSlots } from './build-reports.ts';
import { listen } from './listen.ts';
import { peerAddress } from './peer-address.ts';

export interface ReportServer {
  readonly port: number;
  /** Takes a renewed certificate for connections from now on. */
  renew(tls: { cert: string; key: string }): void;
  /** Stops listening and destroys what is still open. */
  close(): Promise<void>;
}

/** Connections at once, in all and from one address; each build needs one for a few seconds. */
const CONNECTIONS = 500;
const CONNECTIONS_PER_ADDRESS = 50;

/** Starts it on `port` (0: a free one); rejects when the port is taken or the certificate can't be read. */
export async function startReportServer(options: {
  /** PEM texts. */
  readonly tls: { readonly cert: string; readonly key: string };
  readonly port: number;
  readonly handler: BuildReportHandler;
  readonly log: Logger;
}): Promise<ReportServer> {
  const { handler, log } = options;
  const slots = new ReportSlots();
  const server = createServer({
    ...options.tls,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 15_000,
    headersTimeout: 15_000,
    connectionsCheckingInterval: 5000,
    requestTimeout: 90_000,
    keepAliveTimeout: 5000,
  });
  server.maxConnections = CONNECTIONS;
  limitPerAddress(server);
  server.on('request', (request, response) => {
    if ((request.url ?? '/').split('?')[0] === '/v1/builds') {
      void answerBuildReport(request, response, { handler, slots });
      return;
    }
    response.writeHead(404, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ error: 'there is /v1/builds' }));
  });
  server.on('tlsClientError', (error) => log.debug({ err: error }, 'TLS handshake failed'));
  await listen(server, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    renew: (tls) => server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Ends connections beyond the share of their address before anything is read of them. */
function limitPerAddress(server: Server): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = peerAddress(socket);
    const count = (open.get(address) ?? 0) + 1;
    if (count > CONNECTIONS_PER_ADDRESS) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}
