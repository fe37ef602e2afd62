// The plain HTTP server of a replica: metrics and the answers to the kubelet's probes.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { listen } from './listen.ts';

export interface PlainServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts it on `port` (0: a free one). `notReady` says what is missing, or nothing once this replica may serve. */
export async function startPlainServer(options: {
  readonly port: number;
  readonly registry: Registry;
  readonly notReady: () => string | undefined;
}): Promise<PlainServer> {
  const { registry, notReady } = options;
  const answer = async (path: string): Promise<{ status: number; type: string; body: string }> => {
    switch (path) {
      case '/metrics':
        return { status: 200, type: registry.contentType, body: await registry.metrics() };
      case '/healthz':
        return { status: 200, type: 'text/plain', body: 'ok\n' };
      case '/readyz': {
        const missing = notReady();
        return { status: missing === undefined ? 200 : 503, type: 'text/plain', body: `${missing ?? 'ok'}\n` };
      }
      default:
        return { status: 404, type: 'text/plain', body: 'there are /metrics, /healthz and /readyz\n' };
    }
  };
  const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
    answer((request.url ?? '/').split('?')[0] ?? '/').then(
      ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
      (error) => response.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`),
    );
  });
  await listen(server, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
