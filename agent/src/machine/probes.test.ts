// Checks over http, tcp and by name against real servers on the loopback interface and real programs.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HealthCheck } from '@floe/crds/health-check';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Clock } from '../attempt/ports.ts';
import { realClock } from '../real-clock.ts';
import { runCommand } from './command.ts';
import { checkHealth } from './health.ts';
import { ownNetwork } from './network.ts';

let folder: string;
let http: Server;
let https: Server;
let certificate: string;
const hits = { slowStart: 0, flapping: 0, faltering: 0 };

const answer: RequestListener = (request, response) => {
  switch (request.url) {
    case '/slow-start':
      hits.slowStart++;
      response.writeHead(hits.slowStart < 3 ? 503 : 200).end('starting');
      return;
    case '/flapping':
      hits.flapping++;
      response.writeHead(hits.flapping % 2 === 0 ? 500 : 200).end();
      return;
    case '/faltering':
      hits.faltering++;
      if (hits.faltering === 1) response.writeHead(503).end('no database');
      return;
    case '/teapot':
      response.writeHead(418).end('short and stout');
      return;
    case '/echo':
      response.end(`${request.method} ${request.headers['x-probe']}`);
      return;
    case '/endless':
      response.write('x'.repeat(80_000));
      return;
    case '/silent':
      return;
    default:
      response.end('version 1.2.3, all is well');
  }
};

const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const port = (server: Server) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-probes-'));
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  certificate = made.cert;
  await writeFile(join(folder, 'ca.pem'), certificate);
  http = createServer(answer);
  https = createTlsServer({ key: made.private, cert: made.cert }, answer);
  await Promise.all([listen(http), listen(https)]);
  await mkdir(join(folder, 'checks'));
  const define = (name: string, script: string, timeoutSeconds = 5) =>
    writeFile(join(folder, 'checks', name), JSON.stringify({ command: ['/bin/sh', '-c', script], timeoutSeconds }));
  await define('fine', 'echo all tables are there');
  await define('bad', 'echo looking; echo "table users is gone" >&2; exit 3');
  await define('hangs', 'sleep 30', 0.2);
  await writeFile(join(folder, 'checks', 'broken'), 'no json');
});

afterAll(async () => {
  for (const server of [http, https]) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true });
});

const once = { interval: '10ms', timeout: '300ms' } as const;

async function make(check: Omit<HealthCheck, 'name'>, clock: Clock = realClock) {
  const health = await checkHealth(
    { checks: [{ name: 'it', ...once, ...check }], failedBefore: [], activeBefore: [], exitCode: 0 },
    { command: runCommand, clock, named: join(folder, 'checks'), network: ownNetwork((path) => join(folder, path)) },
    AbortSignal.timeout(20_000),
  );
  return { health, it: health.checks?.find(({ name }) => name === 'it') };
}

const at = (path: string) => `http://127.0.0.1:${port(http)}${path}`;
const safe = (path: string) => `https://127.0.0.1:${port(https)}${path}`;

test.each<{ name: string; check: () => Omit<HealthCheck, 'name'>; passed: boolean; says: RegExp }>([
  { name: 'any 2xx', check: () => ({ http: { url: at('/') } }), passed: true, says: /answers 200/ },
  {
    name: 'a wrong status',
    check: () => ({ http: { url: at('/teapot') } }),
    passed: false,
    says: /418.*short and stout/,
  },
  {
    name: 'a wanted status',
    check: () => ({ http: { url: at('/teapot'), status: [200, 418] } }),
    passed: true,
    says: /418/,
  },
  {
    name: 'method and headers',
    check: () => ({
      http: { url: at('/echo'), method: 'PUT', headers: { 'X-Probe': 'seven' }, body: { contains: 'PUT seven' } },
    }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'a body that lacks the text',
    check: () => ({ http: { url: at('/'), body: { contains: 'version 2' } } }),
    passed: false,
    says: /has no "version 2".*version 1\.2\.3/,
  },
  {
    name: 'a body that matches',
    check: () => ({ http: { url: at('/'), body: { matches: 'version \\d+' } } }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'a regular expression that never ends',
    check: () => ({ http: { url: at('/endless'), body: { matches: '(x+x+)+y' } }, timeout: '10s' }),
    passed: false,
    says: /needs more than 500 ms/,
  },
  {
    name: 'a regular expression that is none',
    check: () => ({ http: { url: at('/'), body: { matches: '(' } }, timeout: '10s' }),
    passed: false,
    says: /no regular expression/,
  },
  {
    name: 'a server that never answers',
    check: () => ({ http: { url: at('/silent') } }),
    passed: false,
    says: /no answer in time/,
  },
  {
    name: 'nobody there',
    check: () => ({ http: { url: 'http://127.0.0.1:1/' } }),
    passed: false,
    says: /ECONNREFUSED/,
  },
  {
    name: 'a certificate that nobody knows',
    check: () => ({ http: { url: safe('/') } }),
    passed: false,
    says: /certificate/i,
  },
  {
    name: 'a certificate of the CA given',
    check: () => ({ http: { url: safe('/'), tls: { caFile: '/ca.pem' } } }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'a CA file that is not there',
    check: () => ({ http: { url: safe('/'), tls: { caFile: '/none.pem' } } }),
    passed: false,
    says: /none\.pem/,
  },
  {
    name: 'any certificate',
    check: () => ({ http: { url: safe('/'), tls: { insecureSkipVerify: true } } }),
    passed: true,
    says: /answers 200/,
  },
  {
    name: 'an open port',
    check: () => ({ tcp: { host: '127.0.0.1', port: port(http) } }),
    passed: true,
    says: /accepts/,
  },
  {
    name: 'a closed port',
    check: () => ({ tcp: { host: '127.0.0.1', port: 1 } }),
    passed: false,
    says: /ECONNREFUSED/,
  },
  { name: 'a check by name', check: () => ({ named: 'fine' }), passed: true, says: /all tables are there/ },
  {
    name: 'a check by name that fails, with its last lines',
    check: () => ({ named: 'bad' }),
    passed: false,
    says: /exit code 3: looking \/ table users is gone/,
  },
  {
    name: 'a check by name that hangs',
    check: () => ({ named: 'hangs' }),
    passed: false,
    says: /not done after 0.2 s/,
  },
  {
    name: 'a name that the machine does not know',
    check: () => ({ named: 'other', timeout: '10m' }),
    passed: false,
    says: /has no check "other" \(it defines bad, broken, fine, hangs\): define services\.floe-agent\.checks\.other/,
  },
  {
    name: 'a name that leads elsewhere',
    check: () => ({ named: '../../bin/sh' }),
    passed: false,
    says: /can't be the name/,
  },
  { name: 'a definition that is none', check: () => ({ named: 'broken' }), passed: false, says: /is no check/ },
  { name: 'a kind that this agent does not know', check: () => ({}), passed: false, says: /newer one first/ },
])('$name', async ({ check, passed, says }) => {
  const { health, it } = await make(check());
  expect(it?.message).toMatch(says);
  expect(it?.passed).toBe(passed);
  expect(health.kind).toBe(passed ? 'healthy' : 'unhealthy');
  if (health.kind === 'unhealthy') expect(health.message).toMatch(/^Check it: /);
});

test('a service that needs a while passes', async () => {
  expect((await make({ http: { url: at('/slow-start') }, timeout: '10s' })).it?.passed).toBe(true);
  expect(hits.slowStart).toBe(3);
});

test('successes in a row: one that flaps never has two', async () => {
  const { it } = await make({ http: { url: at('/flapping') }, successes: 2, timeout: '400ms' });
  expect(it?.passed).toBe(false);
  expect(hits.flapping).toBeGreaterThan(2);
});

test('a last try that the end of the time cuts off hides nothing that was seen before', async () => {
  const { it } = await make({ http: { url: at('/faltering') } });
  expect(hits.faltering).toBe(2);
  expect(it?.message).toMatch(/answers 503.*no database/);
});

test('the first try comes after the grace, and the time limit counts from then on', async () => {
  let nowMs = 0;
  const slept: number[] = [];
  const clock: Clock = {
    now: () => ({ time: '2026-03-01T10:00:00Z', monotonicMs: nowMs }),
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
      nowMs += milliseconds;
    },
  };
  const tcp = { host: '127.0.0.1', port: 1 };
  const { it } = await make({ tcp, grace: '5s', interval: '2s', timeout: '5s' }, clock);
  expect(slept).toEqual([5000, 2000, 2000, 1000]);
  expect(it).toMatchObject({ passed: false, at: '2026-03-01T10:00:00Z' });
});
