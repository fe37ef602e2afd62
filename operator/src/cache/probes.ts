// /metrics, /healthz and /readyz of the cache.
import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';

/** A server that is not listening yet. `ready` says why not, or nothing when it is. */
export function probeServer(registry: Registry, ready: () => string | undefined): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path === '/healthz') {
      response.end('ok\n');
    } else if (path === '/readyz') {
      const reason = ready();
      response.writeHead(reason === undefined ? 200 : 503).end(`${reason ?? 'ok'}\n`);
    } else if (path === '/metrics') {
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
    } else {
      response.writeHead(404).end('use /metrics, /healthz or /readyz\n');
    }
  });
}
