// Tests of connections: TLS, tokens and certificates that change, kubeconfig files, service accounts.
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { KubeClient } from './client.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { isInCluster, loadInCluster } from './in-cluster.ts';
import { loadKubeConfig } from './kube-config.ts';
import { configMaps } from './resource.ts';

const { signal } = new AbortController();
const KEY = { namespace: 'n', name: 'a' };
type Certificate = Awaited<ReturnType<typeof generate>>;
let serverCertificate: Certificate;
let clientCertificate: Certificate;
let folder: string;
const endings: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  const attributes = (name: string) => [{ name: 'commonName', value: name }];
  serverCertificate = await generate(attributes('127.0.0.1'), {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  clientCertificate = await generate(attributes('floe-test'), {});
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-connection-'));
});

afterEach(async () => {
  for (const end of endings.splice(0)) {
    await end();
  }
  await rm(folder, { recursive: true });
});

/** A TLS server that tells who asked; it refuses the tokens in `refused`. */
async function serve(options: { refused?: Set<string> } = {}) {
  const asked: string[] = [];
  const server: Server = createServer(
    { key: serverCertificate.private, cert: serverCertificate.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const subject = (request.socket as TLSSocket).getPeerCertificate()?.subject?.CN;
      const who = request.headers.authorization ?? subject ?? 'nobody';
      asked.push(String(who));
      response.writeHead(options.refused?.has(String(who)) ? 401 : 200, { 'content-type': 'application/json' });
      response.end('{}');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let connections = 0;
  server.on('secureConnection', () => {
    connections += 1;
  });
  endings.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const port = (server.address() as AddressInfo).port;
  return { asked, port, url: `https://127.0.0.1:${port}`, connections: () => connections };
}

async function ask(connection: Connection, times = 1): Promise<void> {
  const client = new KubeClient(connection);
  endings.unshift(() => client.close());
  for (let i = 0; i < times; i += 1) {
    await client.get(configMaps, KEY, { signal });
  }
}

function connect(server: string, read: ConnectionOptions['read'], rereadSeconds = 60): Connection {
  return new Connection({ server, namespace: 'n', read, rereadSeconds });
}

test('a server whose certificate is not trusted is refused', async () => {
  const { url } = await serve();
  const read = () => Promise.resolve({ tls: {}, headers: {} });
  await expect(ask(connect(url, read))).rejects.toMatchObject({ status: 0, reason: 'Unreachable' });
});

test('credentials are read again when they are due; the connection stays while the certificates do', async () => {
  const { url, asked, connections } = await serve();
  let token = 0;
  const read = () => {
    token += 1;
    return Promise.resolve({ tls: { ca: serverCertificate.cert }, headers: { authorization: `Bearer ${token}` } });
  };
  await ask(connect(url, read, 0), 9);
  expect(asked).toEqual(Array.from({ length: 9 }, (_, i) => `Bearer ${i + 1}`));
  expect(connections()).toBeLessThanOrEqual(2);
});

test('new certificates make new connections', async () => {
  const { url, asked } = await serve();
  const ca = serverCertificate.cert;
  const certificates = [
    { tls: { ca }, headers: {} },
    { tls: { ca, cert: clientCertificate.cert, key: clientCertificate.private }, headers: {} },
  ];
  const read = () => Promise.resolve(certificates.shift() ?? { tls: {}, headers: {} });
  await ask(connect(url, read, 0), 2);
  expect(asked).toEqual(['nobody', 'floe-test']);
});

test('credentials that the server refuses are read again at once', async () => {
  const { url, asked } = await serve({ refused: new Set(['Bearer old']) });
  const refusals: boolean[] = [];
  const connection = connect(url, (refused) => {
    refusals.push(refused);
    const authorization = refused ? 'Bearer new' : 'Bearer old';
    return Promise.resolve({ tls: { ca: serverCertificate.cert }, headers: { authorization } });
  });
  await expect(ask(connection)).rejects.toMatchObject({ status: 401 });
  await ask(connection);
  expect(asked).toEqual(['Bearer old', 'Bearer new']);
  expect(refusals).toEqual([false, true]);
});

test('a pod uses the files of its service account', async () => {
  const { port, asked } = await serve();
  await writeFile(join(folder, 'token'), 'pod-token\n');
  await writeFile(join(folder, 'ca.crt'), serverCertificate.cert);
  await writeFile(join(folder, 'namespace'), 'floe-system');
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) };
  const connection = await loadInCluster({ env, folder });
  await ask(connection);
  expect(asked).toEqual(['Bearer pod-token']);
  expect(connection.namespace).toBe('floe-system');
});

test('what is no pod says what to do', async () => {
  expect(isInCluster({})).toBe(false);
  await expect(loadInCluster({ env: {} })).rejects.toThrow('give a kubeconfig');
  const connection = await loadInCluster({ env: { KUBERNETES_SERVICE_HOST: 'fd00::1' }, folder });
  expect(connection.server).toBe('https://[fd00::1]:443');
  await expect(connection.open('requests')).rejects.toThrow('automountServiceAccountToken');
});

describe('kubeconfig', () => {
  async function write(server: string, user: object): Promise<string> {
    const file = join(folder, 'config');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'c',
          cluster: { server, 'certificate-authority-data': Buffer.from(serverCertificate.cert).toString('base64') },
        },
      ],
      users: [{ name: 'u', user }],
      contexts: [
        { name: 'here', context: { cluster: 'c', user: 'u', namespace: 'demo' } },
        { name: 'there', context: { cluster: 'c', user: 'u' } },
      ],
      'current-context': 'here',
    };
    await writeFile(file, JSON.stringify(config));
    return file;
  }

  const exec = (token: string) => ({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-p', `JSON.stringify({status: {token: ${JSON.stringify(token)}}})`],
      interactiveMode: 'Never',
    },
  });

  test.each<[string, () => object, string]>([
    ['a token', () => ({ token: 'secret' }), 'Bearer secret'],
    ['a password', () => ({ username: 'me', password: 'pw' }), `Basic ${Buffer.from('me:pw').toString('base64')}`],
    [
      'a client certificate',
      () => ({
        'client-certificate-data': Buffer.from(clientCertificate.cert).toString('base64'),
        'client-key-data': Buffer.from(clientCertificate.private).toString('base64'),
      }),
      'floe-test',
    ],
    ['a plug-in', () => exec('from-plug-in'), 'Bearer from-plug-in'],
  ])('with %s', async (_, user, expected) => {
    const { url, asked } = await serve();
    const connection = await loadKubeConfig({ file: await write(url, user()) });
    await ask(connection, 2);
    expect(asked).toEqual([expected, expected]);
    expect(connection.namespace).toBe('demo');
  });

  test('a file that changed is read again when its token is refused', async () => {
    const { url, asked } = await serve({ refused: new Set(['Bearer old']) });
    const connection = await loadKubeConfig({ file: await write(url, { token: 'old' }) });
    await write(url, { token: 'new' });
    await expect(ask(connection)).rejects.toMatchObject({ status: 401 });
    await ask(connection);
    expect(asked).toEqual(['Bearer old', 'Bearer new']);
  });

  test('another context, and one that is not there', async () => {
    const file = await write('https://127.0.0.1:1', {});
    expect((await loadKubeConfig({ file, context: 'there' })).namespace).toBe('default');
    await expect(loadKubeConfig({ file, context: 'nowhere' })).rejects.toThrow('no usable context nowhere');
  });

  test('a file that is not there, and one that is none', async () => {
    await expect(loadKubeConfig({ file: join(folder, 'none') })).rejects.toThrow('cannot read the kubeconfig');
    await writeFile(join(folder, 'bad'), '{');
    await expect(loadKubeConfig({ file: join(folder, 'bad') })).rejects.toThrow('cannot read the kubeconfig');
  });
});
