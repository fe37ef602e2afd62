// The agent's own code, a whole replica and real proxies between them: an order is carried out and confirmed through each.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Caller } from '@floe/agent/hub/connect';
import { proxyFor } from '@floe/agent/hub/proxy';
import { Reporter } from '@floe/agent/hub/reporter';
import { runSession, type SessionPorts } from '@floe/agent/hub/session';
import { TransportMemory } from '@floe/agent/hub/transport';
import { makeHostKey } from '@floe/agent/identity/make-host-key';
import { realClock } from '@floe/agent/real-clock';
import { SimulatedAgent, type SimulatedAgentOptions } from '@floe/agent/simulated-agent';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { desired, machine, NEW, OLD } from '../conditions/machine.fixture.ts';
import { nixMachines } from '../kube/resource.ts';
import { connectProxy, inspectingProxy, type OnUpgrade, socksProxy, type TestProxy } from './proxies.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';

let certificate: Certificate;
let tls: SecureContext;
let proxyTls: { cert: string; key: string };
let api: FakeApiServer;
let hub: TestReplica;
let end: AbortController;
let ended: Promise<unknown>[];
let proxies: { close(): Promise<void> }[];
let said: string[];

beforeAll(async () => {
  certificate = await makeCertificate();
  const other = await makeCertificate('a proxy');
  proxyTls = { cert: other.ca, key: await readFile(join(other.folder, 'tls.key'), 'utf8') };
  await other.remove();
  tls = createSecureContext({ ca: [certificate.ca, proxyTls.cert] });
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  api = await FakeApiServer.start();
  end = new AbortController();
  ended = [];
  proxies = [];
  said = [];
  hub = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  end.abort();
  await Promise.all(ended);
  await hub.stop();
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await api.close();
});

async function use<T extends TestProxy>(proxy: Promise<T>): Promise<T> {
  const started = await proxy;
  proxies.push(started);
  return started;
}

const keep = (line: string) => said.push(line);
const quiet = { info: keep, warn: keep, error: keep };

/** Starts an agent and orders NEW of it. */
function run(environment: Record<string, string>, over: Partial<SimulatedAgentOptions> = {}): SimulatedAgent {
  const url = over.hub ?? `https://localhost:${hub.ports.https}`;
  const proxy = proxyFor(url, environment);
  const agent = new SimulatedAgent({
    hub: url,
    tls,
    namespace: 'shop',
    machine: 'web-01',
    closure: OLD,
    log: quiet,
    ...(proxy === undefined ? {} : { proxy }),
    ...over,
  });
  api.seed(nixMachines, machine({ desired: desired() }, { identity: { sshHostKey: agent.publicKey } }));
  ended.push(agent.run(end.signal));
  return agent;
}

const committed = () =>
  vi.waitFor(
    () => expect(api.get(nixMachines, 'shop/web-01')?.status).toMatchObject({ attempt: { phase: 'Committed' } }),
    { timeout: 20_000 },
  );

describe('an order is carried out and confirmed', () => {
  test('through a proxy that tunnels, with a user and a password', async () => {
    const proxy = await use(connectProxy({ credentials: 'me:p@ss' }));
    const agent = run({ HTTPS_PROXY: `http://me:p%40ss@127.0.0.1:${proxy.port}` });
    await committed();
    expect(agent.machine.profile).toBe(NEW);
    // The session and the confirmation: each a connection of its own.
    expect(proxy.asked).toEqual(Array(2).fill(`localhost:${hub.ports.https}`));
    expect(await hub.counts('floe_hub_connections')).toEqual({ websocket: 1 });
  });

  test('through a proxy, where the hub is named by its address', async () => {
    const proxy = await use(connectProxy());
    run({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }, { hub: `https://127.0.0.1:${hub.ports.https}` });
    await committed();
  });

  test('by SOCKS5, and names are never resolved here with socks5h', async () => {
    const proxy = await use(socksProxy());
    run({ ALL_PROXY: `socks5h://127.0.0.1:${proxy.port}` });
    await committed();
    expect(proxy.asked).toEqual(Array(2).fill(`name localhost:${hub.ports.https}`));
  });

  test('by SOCKS5 with names resolved here', async () => {
    const proxy = await use(socksProxy());
    run({ ALL_PROXY: `socks5://127.0.0.1:${proxy.port}` });
    await committed();
    expect(proxy.asked[0]).toBe(`address 127.0.0.1:${hub.ports.https}`);
  });

  test('past a proxy that NO_PROXY excepts', async () => {
    const proxy = await use(connectProxy({ refuse: 403 }));
    run({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}`, NO_PROXY: 'localhost' });
    await committed();
    expect(proxy.asked).toEqual([]);
  });

  test.each<OnUpgrade>(['refuse', 'drop'])(
    'by long poll through a proxy that will %s an upgrade',
    async (onUpgrade) => {
      const proxy = await use(inspectingProxy(proxyTls, onUpgrade));
      run({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
      await committed();
      expect(await hub.counts('floe_hub_connections')).toEqual({ poll: 1 });
      // It is tried once; what worked is remembered, also for the confirmation.
      expect(proxy.asked.filter((one) => one.startsWith('UPGRADE'))).toHaveLength(1);
    },
  );

  test('by long poll while answers get lost', async () => {
    const proxy = await use(inspectingProxy(proxyTls));
    run({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` });
    await vi.waitFor(() => expect(said.join()).toContain('by long poll'), { timeout: 10_000 });
    proxy.loseAnswers = 2;
    await committed();
    expect(proxy.loseAnswers).toBe(0);
  });
});

test('a session by long poll becomes one by WebSocket as soon as one gets through', async () => {
  const key = makeHostKey();
  api.seed(nixMachines, machine(undefined, { identity: { sshHostKey: key.publicKey } }));
  const transports = new TransportMemory();
  transports.worked('poll');
  const caller: Caller = {
    address: { url: `https://localhost:${hub.ports.https}`, tls },
    namespace: 'shop',
    machine: 'web-01',
    key,
    agent: { version: '0' },
    transports,
  };
  const ports: SessionPorts = {
    caller: async () => caller,
    reporter: new Reporter(),
    onDesired: () => undefined,
    clock: realClock,
    log: quiet,
    random: () => 0,
    probeMs: 100,
  };
  ended.push(runSession(ports, end.signal));
  await vi.waitFor(async () => expect(await hub.counts('floe_hub_connections')).toEqual({ poll: 1 }));
  await vi.waitFor(async () => expect(await hub.counts('floe_hub_connections')).toEqual({ websocket: 1 }), {
    timeout: 10_000,
  });
});

describe('what went wrong is told', () => {
  const tells = (text: string) => vi.waitFor(() => expect(said.join('\n')).toContain(text), { timeout: 10_000 });

  test('a proxy that wants credentials, which are not shown', async () => {
    const proxy = await use(connectProxy({ credentials: 'me:right' }));
    run({ HTTPS_PROXY: `http://me:wrong@127.0.0.1:${proxy.port}` });
    await tells(`the proxy http://127.0.0.1:${proxy.port} (HTTPS_PROXY) asks for a user and a password (407)`);
    expect(said.join('\n')).not.toContain('wrong');
  });

  test('a proxy that does not connect', async () => {
    const proxy = await use(connectProxy({ refuse: 403 }));
    run({ https_proxy: `http://127.0.0.1:${proxy.port}` });
    await tells(`(https_proxy) does not connect to localhost:${hub.ports.https}: it answers 403`);
  });

  test('a proxy that is not there', async () => {
    const closed: Server = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    run({ ALL_PROXY: `socks5h://127.0.0.1:${port}` });
    await tells(`through the proxy socks5h://127.0.0.1:${port} (ALL_PROXY): `);
  });
});
