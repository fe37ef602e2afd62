// Checks over http and tcp of a machine without an agent: made through its SSH server, with its own certificates.
import { mkdir } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { realClock } from '@floe/agent/real-clock';
import type { CheckResult, HealthCheck } from '@floe/crds/health-check';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusal } from './connection.ts';
import { Link } from './link.ts';
import { LoopbackMachine } from './machine.fixture.ts';
import { RemoteMachine } from './remote-machine.ts';

let machine: LoopbackMachine;
let http: Server;
let https: Server;
const port = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  machine = await LoopbackMachine.start();
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  await mkdir(join(machine.root, 'etc/ssl/certs'), { recursive: true });
  await machine.write('own.pem', cert);
  http = createServer((request, response) => {
    if (request.url === '/silent') return;
    response.end(`this is ${request.headers.host}`);
  });
  https = createTlsServer({ cert, key }, (_, response) => response.end('x'.repeat(200_000)));
  for (const server of [http, https]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  for (const server of [http, https]) {
    server.closeAllConnections();
    server.close();
  }
  await machine.stop();
});

/** What a check came to on the machine. */
async function make(check: Omit<HealthCheck, 'name'>, link = new Link({ address: machine.address })) {
  const signal = AbortSignal.timeout(50_000);
  try {
    // What a busy host takes to log in is no part of the check's time.
    await link.run(':', [], { signal, limitSeconds: 30 });
    const remote = new RemoteMachine({ link, owner: 'test', clock: realClock, signal });
    const checks = [{ name: 'it', interval: '20ms', timeout: '3s', ...check }];
    const health = await remote.checkHealth({ checks, failedBefore: [], activeBefore: [], exitCode: 0 }, signal);
    return health.checks?.find(({ name }: CheckResult) => name === 'it');
  } finally {
    link.close();
  }
}

const plain = (path: string) => `http://localhost:${port(http)}${path}`;
const safe = () => `https://localhost:${port(https)}/`;

test.concurrent.each<{ name: string; check: () => Omit<HealthCheck, 'name'>; passed: boolean; says: RegExp }>([
  {
    name: 'an address that answers',
    check: () => ({ http: { url: plain('/'), body: { contains: `this is localhost:${port(http)}` } } }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'one that never answers',
    check: () => ({ http: { url: plain('/silent') } }),
    passed: false,
    says: /in time/,
  },
  {
    name: 'a certificate of a CA file on the machine',
    check: () => ({ http: { url: safe(), tls: { caFile: '/own.pem' } } }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'a CA file that the machine does not have',
    check: () => ({ http: { url: safe(), tls: { caFile: '/none.pem' } } }),
    passed: false,
    says: /\/none\.pem can't be read on the machine: .*No such file/,
  },
  {
    name: 'any certificate',
    check: () => ({ http: { url: safe(), tls: { insecureSkipVerify: true } } }),
    passed: true,
    says: /answers 200/,
  },
  { name: 'an open port', check: () => ({ tcp: { port: port(http) } }), passed: true, says: /accepts/ },
  {
    name: 'a closed port',
    check: () => ({ tcp: { host: '127.0.0.1', port: 1 } }),
    passed: false,
    says: /reaches nobody/,
  },
])('$name', async ({ check, passed, says }) => {
  expect(await make({ ...(passed ? { timeout: '30s' } : {}), ...check() })).toMatchObject({
    passed,
    message: expect.stringMatching(says),
  });
});

test.each([
  [2, '(SSH) Channel open failure: Connection refused', /^Connection refused$/],
  [1, '(SSH) Channel open failure: open failed', /\(open failed\).*set AllowTcpForwarding yes/],
  ['', '(SSH) Channel open failure: server closed channel unexpectedly', /^server closed/],
])('a channel that is not opened: reason %s', (reason, message, says) => {
  expect(refusal(Object.assign(new Error(message), { reason }))).toMatch(says);
});

test('without a CA file the certificates stand that the machine trusts, not those of the operator', async () => {
  const check = { http: { url: safe() } };
  expect((await make(check))?.message).toContain("ca-certificates.crt can't be read");
  await machine.write('etc/ssl/certs/ca-certificates.crt', await machine.read('own.pem'));
  expect((await make({ ...check, timeout: '30s' }))?.passed).toBe(true);
});

test('a connection that is cut is made anew, and the check goes on', async () => {
  const link = new Link({ address: machine.address });
  const made = make({ tcp: { port: port(http) }, successes: 10, timeout: '20s' }, link);
  http.once('connection', () => machine.cut());
  expect((await made)?.passed).toBe(true);
});
