// One request to the cache: address, permission, then reading or writing; every way out is an answer.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { type Address, parseAddress } from './address.ts';
import { type Answer, busy, diskAnswer, refuse } from './answer.ts';
import { type Authorizer, tokenOf } from './authorize.ts';
import type { CacheMetrics, FailureCause } from './metrics.ts';
import { putNar, type Upload, type UploadPorts } from './put-nar.ts';
import { putNarinfo } from './put-narinfo.ts';
import { read } from './read.ts';
import { UploadAborted } from './receive.ts';

/** What the handler works with. */
export type CachePorts = UploadPorts & {
  readonly authorizer: Authorizer;
  readonly metrics: CacheMetrics;
  readonly log: Logger;
};

const CAUSES: Readonly<Record<number, FailureCause>> = {
  401: 'refused',
  403: 'refused',
  409: 'conflict',
  500: 'disk',
  507: 'full',
};

async function permission(
  request: IncomingMessage,
  namespace: string,
  ports: CachePorts,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const token = tokenOf(request.headers.authorization);
  if (token === undefined) {
    return refuse(401, 'uploads need a token as password', { 'www-authenticate': 'Basic realm="floe cache"' });
  }
  const address = request.socket.remoteAddress ?? 'unknown';
  const verdict = await ports.authorizer.authorize(token, namespace, { signal, address });
  switch (verdict.kind) {
    case 'allowed':
      return undefined;
    case 'refused':
      return refuse(403, verdict.reason);
    case 'unknown':
      return busy(verdict.reason);
  }
}

async function put(address: Address, upload: Upload, ports: CachePorts): Promise<Answer> {
  if (address.kind === 'info') return refuse(405, "nix-cache-info is the cache's own", { allow: 'GET, HEAD' });
  const refused = await permission(upload.request, address.namespace, ports, upload.signal);
  if (refused !== undefined) return refused;
  return address.kind === 'nar' ? putNar(address, upload, ports) : putNarinfo(address, upload, ports);
}

async function answer(
  address: Address | undefined,
  http: { request: IncomingMessage; response: ServerResponse; proceed: () => void },
  options: { ports: CachePorts; signal: AbortSignal },
): Promise<Answer | undefined> {
  const { request } = http;
  const { ports, signal } = options;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!isRead && request.method !== 'PUT') return refuse(405, 'use GET, HEAD or PUT', { allow: 'GET, HEAD, PUT' });
  if (address === undefined)
    return refuse(404, 'no such file; addresses are /<namespace>/<hash>.narinfo and /<namespace>/nar/<file>');
  if (isRead) return read(address, http, { directory: ports.directory, countSent: ports.metrics.sent });
  return put(address, { request, proceed: http.proceed, signal }, ports);
}

/** Bytes of a refused body that are still taken, so that a client that sends first comes to read the answer. */
const MAX_UNWANTED = 256 << 10;
const UNWANTED_MS = 5_000;

/** Ends a request whose body nothing will read: a little of it is taken, then the connection goes. */
function endUnread(request: IncomingMessage): void {
  if (request.complete) return;
  const end = (): void => void request.destroy();
  const timer = setTimeout(end, UNWANTED_MS);
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MAX_UNWANTED) end();
  });
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  request.resume();
}

function send(response: ServerResponse, said: Answer): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const text = `${said.message}\n`;
  // What a refused client goes on to send must not be read to its end.
  const isRefused = said.status >= 400 && response.req.method === 'PUT';
  response.writeHead(said.status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    ...(isRefused && !response.req.complete ? { connection: 'close' } : {}),
    ...said.headers,
  });
  if (isRefused) endUnread(response.req);
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

/** Answers one request. Never throws; `proceed` lets a client go on that asked with `Expect: 100-continue`. */
export async function handle(
  http: { request: IncomingMessage; response: ServerResponse; proceed: () => void },
  ports: CachePorts,
): Promise<void> {
  const { request, response } = http;
  const gone = new AbortController();
  response.once('close', () => gone.abort(new UploadAborted('the client went away')));
  const address = parseAddress(request.url ?? '');
  const where = { method: request.method, url: request.url };
  try {
    const said = await answer(address, http, { ports, signal: gone.signal });
    if (said !== undefined) send(response, said);
    const status = said?.status ?? response.statusCode;
    const cause = CAUSES[status];
    if (cause !== undefined) {
      ports.metrics.failed(cause);
      ports.log.warn({ ...where, status, reason: said?.message }, 'request refused');
    }
  } catch (error) {
    if (error instanceof UploadAborted || gone.signal.aborted) {
      ports.metrics.failed('aborted');
      ports.log.info({ ...where }, 'the client went away');
      response.destroy();
    } else {
      const said = diskAnswer(error);
      ports.metrics.failed(said.status === 507 ? 'full' : 'disk');
      ports.log.error({ ...where, err: error }, 'request failed');
      send(response, said);
    }
  } finally {
    ports.metrics.request(request.method ?? '', address?.kind ?? 'none', response.statusCode);
  }
}
