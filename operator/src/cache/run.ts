// Composes and runs the cache: opens the folder, listens, and ends in order when told to.
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { AUDIENCE_CACHE } from '@floe/crds/constants';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { BoundedTokenReviewer, type ReviewToken } from '../kube/token-review.ts';
import { anyOf, remembering, staticToken } from './authorize.ts';
import { CacheDirectory } from './directory.ts';
import { type CachePorts, handle } from './handler.ts';
import { cacheMetrics } from './metrics.ts';
import { probeServer } from './probes.ts';
import type { CacheSettings } from './settings.ts';
import { Slots } from './slots.ts';
import { Space } from './space.ts';
import { tokenReview } from './token-review.ts';
import { Turns } from './turns.ts';

export type CacheOptions = {
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly registry: Registry;
  /** How tokens of service accounts are checked; without it only the token file counts. */
  readonly reviewToken?: ReviewToken;
  /** Called with the ports once both listen. */
  readonly onListening?: (ports: { port: number; httpPort: number }) => void;
};

/** Seconds for which an allowed token is not asked about again. */
const REMEMBER_SECONDS = 60;
/** A client that sends or takes nothing for so long is gone. */
const IDLE_MS = 120_000;

async function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(host === undefined ? { port } : { port, host }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function close(server: Server, drainSeconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), drainSeconds * 1000);
  // A connection whose last answer has gone out would otherwise be kept for a next request.
  const sweep = setInterval(() => server.closeIdleConnections(), 200);
  await closed;
  clearTimeout(timer);
  clearInterval(sweep);
}

async function dataServer(settings: CacheSettings, ports: CachePorts): Promise<Server> {
  const { tls } = settings;
  const server =
    tls === undefined
      ? createServer()
      : createTlsServer({ cert: await readFile(tls.certFile), key: await readFile(tls.keyFile) });
  const onRequest = (request: IncomingMessage, response: ServerResponse, proceed: () => void): void => {
    void handle({ request, response, proceed }, ports);
  };
  server.on('request', (request, response) => onRequest(request, response, () => undefined));
  // Without an answer of ours libcurl waits a second before each upload.
  server.on('checkContinue', (request, response) => onRequest(request, response, () => response.writeContinue()));
  // Node's own limit of 5 minutes a request would end the upload of a large closure over a slow line.
  server.requestTimeout = 0;
  server.headersTimeout = 30_000;
  server.keepAliveTimeout = 65_000;
  server.setTimeout(IDLE_MS);
  return server;
}

/**
 * Runs until `signal` aborts, then lets running requests end.
 * @throws errors of the file system or the network when it can't start
 */
export async function runCache(settings: CacheSettings, options: CacheOptions): Promise<void> {
  const { signal, log, registry } = options;
  const directory = await CacheDirectory.open(settings.directory);
  const space = new Space(settings, async () => directory.freeBytes());
  const slots = new Slots(settings.uploads);
  const metrics = cacheMetrics(registry, {
    stored: () => space.stored,
    limit: () => settings.maxBytes,
    free: () => space.left(),
    uploads: () => slots.taken,
  });
  const file = settings.uploadTokenFile;
  const review = settings.tokenReview ? options.reviewToken : undefined;
  const authorizer = anyOf([
    ...(file === undefined ? [] : [staticToken(async () => readFile(file, 'utf8'))]),
    ...(review === undefined
      ? []
      : [
          remembering(tokenReview(new BoundedTokenReviewer({ review, audience: AUDIENCE_CACHE, signal })), {
            now: () => performance.now(),
            seconds: REMEMBER_SECONDS,
            size: 1000,
          }),
        ]),
  ]);
  let notReady: string | undefined = 'starting';
  const probes = probeServer(registry, () => notReady);
  const httpPort = await listen(probes, settings.httpPort, settings.host);
  try {
    // The size must be known before the first upload, or the limit would not hold.
    await directory.scan({ signal, found: (bytes) => space.add(bytes) });
    const server = await dataServer(settings, {
      directory,
      space,
      slots,
      turns: new Turns(),
      authorizer,
      metrics,
      log,
      countReceived: metrics.received,
    });
    const port = await listen(server, settings.port, settings.host);
    notReady = undefined;
    log.info({ port, httpPort, directory: settings.directory, storedBytes: space.stored }, 'the cache is ready');
    options.onListening?.({ port, httpPort });
    await aborted(signal);
    notReady = 'stopping';
    log.info('the cache stops; running requests may end');
    await close(server, settings.drainSeconds);
  } finally {
    await close(probes, 0);
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
