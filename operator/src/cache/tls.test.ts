import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { Registry } from 'prom-client';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { runCache } from './run.ts';

test('serves over TLS when it has a certificate', async () => {
  const root = await mkdtemp(join(tmpdir(), 'floe-cache-test-'));
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const tls = { certFile: join(root, 'cert'), keyFile: join(root, 'key') };
  await writeFile(tls.certFile, pems.cert);
  await writeFile(tls.keyFile, pems.private);
  const stop = new AbortController();
  const listening = Promise.withResolvers<{ port: number }>();
  const settings = {
    directory: join(root, 'cache'),
    host: '127.0.0.1',
    port: 0,
    httpPort: 0,
    tls,
    uploadTokenFile: undefined,
    tokenReview: false,
    maxBytes: 0,
    minFreeBytes: 0,
    uploads: 1,
    drainSeconds: 1,
  };
  const log = pino({ level: 'silent' });
  const running = runCache(settings, {
    signal: stop.signal,
    log,
    registry: new Registry(),
    onListening: listening.resolve,
  });
  const { port } = await listening.promise;
  const status = await new Promise<number | undefined>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/a/nix-cache-info', ca: pems.cert, agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    }).on('error', reject);
  });
  expect(status).toBe(200);
  stop.abort();
  await running;
  await rm(root, { recursive: true });
});
