import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { connect as dialTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as dialTls } from 'node:tls';
import type { NixMachine } from '@floe/crds/nix-machine';
import { GREETING_BYTES, MAX_MESSAGE_BYTES } from '@floe/crds/protocol-limits';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { generate } from 'selfsigned';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import { attempt, desired, machine, NEW, running } from '../conditions/machine.fixture.ts';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { EventRecorder } from '../kube/events.ts';
import { Reflector } from '../kube/reflector.ts';
import { leases, nixMachines } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { helloFor, machineKey, machineState, ScriptedAgent } from './agent.fixture.ts';
import { echoReports } from './replica.fixture.ts';
import { CLOSE } from './session.ts';
import { type HubSettings, type HubStores, type RunningHub, startHub } from './start-hub.ts';

const KEY = 'shop/web-01';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-hub-test-'));
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 });
  await writeFile(join(folder, 'tls.crt'), pem.cert);
  await writeFile(join(folder, 'tls.key'), pem.private);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Replica = RunningHub & { stores: HubStores; stop: () => Promise<void>; registry: Registry };
let api: FakeApiServer;
let replicas: Replica[];
let agents: ScriptedAgent[];
const key = machineKey();
const otherKey = machineKey();

/** One replica with stores of its own, filled by watches of the fake API server. */
async function replica(name = 'floe-0', over: Partial<HubSettings> & { synced?: boolean } = {}): Promise<Replica> {
  const client = api.client();
  const end = new AbortController();
  const machines = new Store<NixMachine>({ indexes: machineIndexes });
  const reflector = new Reflector({
    client,
    resource: nixMachines,
    store: machines,
    log: silentLog(),
    backoff: { firstSeconds: 0.05, maxSeconds: 0.1 },
  });
  const watching = reflector.run(end.signal);
  const stores: HubStores = {
    nixMachines: machines,
    nixConfigs: new Store(),
    controllerRevisions: new Store({ indexes: recordIndexes }),
    isSynced: () => over.synced !== false && reflector.hasSynced,
  };
  const registry = new Registry();
  const events = new EventRecorder({ client, instance: name, log: silentLog() });
  const hub = await startHub({
    window: new CongestionWindow(),
    client,
    stores,
    registry,
    events,
    signal: end.signal,
    log: silentLog(),
    settings: {
      namespace: 'floe-system',
      replica: name,
      httpsPort: 0,
      buildsPort: 0,
      httpPort: 0,
      tlsCertFile: join(folder, 'tls.crt'),
      tlsKeyFile: join(folder, 'tls.key'),
      offlineGraceSeconds: 0.05,
      drainSeconds: 2,
      ...over,
    },
    buildReport: echoReports,
  });
  if (over.synced !== false) await reflector.synced;
  const stop = async () => {
    end.abort();
    await Promise.all([hub.closed, watching]);
  };
  const running_ = { ...hub, stores, stop, registry };
  replicas.push(running_);
  return running_;
}

function dial(to: RunningHub, headers?: Record<string, string>): ScriptedAgent {
  const agent = new ScriptedAgent(to.ports.https, headers);
  agents.push(agent);
  return agent;
}
const connect = (to: RunningHub) => dial(to).hello(key);
const status = () => api.get(nixMachines, KEY)?.status;
const report = (seq: number, phase?: string) => ({
  type: 'report',
  seq,
  state: machineState(phase === undefined ? {} : { attempt: attempt(phase) }),
});
const seed = (over: Partial<NixMachine['spec']> = {}, given?: NixMachine['status']) =>
  api.seed(nixMachines, machine(given, { identity: { sshHostKey: key.line }, ...over }));
const refusals = async (from: Replica) => {
  const metric = await from.registry.getSingleMetric('floe_hub_refused_total')?.get();
  const counted = (metric?.values ?? []).filter(({ value }) => value > 0);
  return Object.fromEntries(counted.map(({ labels, value }) => [labels['reason'], value]));
};

beforeEach(async () => {
  api = await FakeApiServer.start();
  replicas = [];
  agents = [];
});
afterEach(async () => {
  for (const agent of agents) agent.vanish();
  await Promise.all(replicas.map((one) => one.stop()));
  await api.close();
});

describe('a session', () => {
  test('hello, order, report, acknowledgement; then offline', async () => {
    seed({}, { desired: desired() });
    const hub = await replica();
    const agent = await connect(hub);
    expect(await agent.take('desired')).toMatchObject({ id: desired().id, closure: NEW, go: true });
    agent.send(report(1, 'Testing'));
    expect(await agent.take('ack')).toEqual({ type: 'ack', seq: 1 });
    expect(status()).toMatchObject({
      attempt: { phase: 'Testing' },
      connection: { online: true, replica: 'floe-0' },
      agent: { version: '0.1.0' },
    });
    expect(api.seen({ verb: 'PATCH', path: '/status' })).toHaveLength(1);
    agent.send(report(2, 'Committed'));
    await agent.take('ack');
    agent.vanish();
    await vi.waitFor(() => expect(status()?.connection?.online).toBe(false));
    expect(status()?.attempt?.phase).toBe('Committed');
  });

  test('a new order reaches the agent by the watch, and a hold takes its go away', async () => {
    seed();
    const agent = await connect(await replica());
    seed({}, { desired: desired({ go: false }) });
    expect((await agent.take('desired')).go).toBe(false);
    seed({}, { desired: desired({ go: true }) });
    expect((await agent.take('desired')).go).toBe(true);
    seed({ hold: { reason: 'disk swap' } });
    expect((await agent.take('desired')).go).toBe(false);
  });

  test('an idle machine that reconnects within the grace costs no write', async () => {
    seed();
    const hub = await replica('floe-0', { offlineGraceSeconds: 30 });
    const first = await connect(hub);
    first.send(report(1));
    await first.take('ack');
    const writes = api.seen({ verb: 'PATCH', path: '/status' }).length;
    first.vanish();
    const second = await connect(hub);
    second.send(report(1));
    await second.take('ack');
    expect(api.seen({ verb: 'PATCH', path: '/status' })).toHaveLength(writes);
  });

  test('the newest connection of a machine wins', async () => {
    seed();
    const hub = await replica();
    const first = await connect(hub);
    const second = await connect(hub);
    expect((await first.ended()).code).toBe(CLOSE.replaced);
    second.send(report(1));
    await second.take('ack');
    expect(status()?.connection?.online).toBe(true);
  });

  test('a machine that moves to another replica is never called offline, and the old session yields', async () => {
    seed();
    const [a, b] = [await replica('floe-a'), await replica('floe-b')];
    const first = await connect(a);
    first.send(report(1));
    await first.take('ack');
    await vi.waitFor(() => expect(status()?.connection?.replica).toBe('floe-a'));
    const second = await connect(b);
    second.send(report(1));
    await second.take('ack');
    expect((await first.ended()).code).toBe(CLOSE.restart);
    expect(status()?.connection).toMatchObject({ online: true, replica: 'floe-b' });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(status()?.connection).toMatchObject({ online: true, replica: 'floe-b' });
  });

  test('a status that is lost is written again', async () => {
    seed();
    const hub = await replica();
    const agent = await connect(hub);
    agent.send(report(1, 'Committed'));
    await agent.take('ack');
    await vi.waitFor(() => expect(hub.stores.nixMachines.get(KEY)?.status?.connection?.online).toBe(true));
    api.remove(nixMachines, KEY);
    await agent.ended();
    seed();
    await vi.waitFor(() => expect(hub.stores.nixMachines.get(KEY)).toBeDefined());
    const again = await connect(hub);
    again.send(report(1, 'Committed'));
    await again.take('ack');
    expect(status()?.attempt?.phase).toBe('Committed');
    api.seed(nixMachines, {
      ...machine(),
      status: { connection: { online: false, since: 'x' }, attempt: attempt('Testing') },
    });
    await vi.waitFor(() =>
      expect(status()).toMatchObject({ connection: { online: true }, attempt: { phase: 'Committed' } }),
    );
  });
});

describe('who is refused', () => {
  const expectRefused = async (agent: ScriptedAgent, reason: string) => {
    expect((await agent.take('refused')).reason).toBe(reason);
    await agent.ended();
  };

  test('unknown, wrong key, replayed hello, wrong host; each counted, and told to the machine', async () => {
    seed();
    const hub = await replica();
    const unknown = dial(hub);
    unknown.send(
      helloFor(key, { nonce: (await unknown.take('challenge')).nonce, host: unknown.host, machine: 'web-09' }),
    );
    await expectRefused(unknown, 'UnknownMachine');
    const thief = dial(hub);
    thief.send(helloFor(otherKey, { nonce: (await thief.take('challenge')).nonce, host: thief.host }));
    // What a stranger hears is not which machines there are; the metrics and the machine's object say it.
    await expectRefused(thief, 'UnknownMachine');
    const honest = dial(hub);
    const recorded = helloFor(key, { nonce: (await honest.take('challenge')).nonce, host: honest.host });
    honest.send(recorded);
    await honest.take('welcome');
    const replay = dial(hub);
    await replay.take('challenge');
    replay.send(recorded);
    await expectRefused(replay, 'BadSignature');
    const relayed = dial(hub);
    relayed.send(helloFor(key, { nonce: (await relayed.take('challenge')).nonce, host: 'evil.example' }));
    await expectRefused(relayed, 'WrongHost');
    expect(await refusals(hub)).toEqual({ UnknownMachine: 1, WrongKey: 1, BadSignature: 1, WrongHost: 1 });
    expect(honest.closed).toBeUndefined();
  });

  test('a twin in another namespace changes nothing; a newer one in the same is refused, and the older stays', async () => {
    seed();
    const hub = await replica();
    const first = await connect(hub);
    const twin = machine(undefined, { identity: { sshHostKey: key.line } });
    const at = (name: string, namespace: string) =>
      api.seed(nixMachines, { ...twin, metadata: { ...twin.metadata, name, namespace } });
    at('web-01', 'other');
    at('web-02', 'shop');
    await vi.waitFor(() => expect(hub.stores.nixMachines.get('shop/web-02')).toBeDefined());
    const second = dial(hub);
    const { nonce } = await second.take('challenge');
    second.send(helloFor(key, { nonce, host: second.host, machine: 'web-02' }));
    await expectRefused(second, 'DuplicateKey');
    const hostile = await dial(hub).hello(key, { namespace: 'other' });
    expect([first.closed, hostile.closed]).toEqual([undefined, undefined]);
    await vi.waitFor(() =>
      expect(api.get(nixMachines, 'shop/web-02')?.status?.connection).toMatchObject({
        online: false,
        fault: { reason: 'DuplicateKey', message: expect.stringContaining('older NixMachine web-01') },
      }),
    );
    await expect.poll(() => status()?.connection?.online).toBe(true);
  });

  test('why a machine is refused stands in its status until it is let in; one that is connected is left alone', async () => {
    seed({ identity: { sshHostKey: otherKey.line } });
    const hub = await replica();
    const wrong = dial(hub);
    wrong.send(helloFor(key, { nonce: (await wrong.take('challenge')).nonce, host: wrong.host }));
    await expectRefused(wrong, 'UnknownMachine');
    await vi.waitFor(() =>
      expect(status()).toMatchObject({
        connection: { online: false, fault: { reason: 'WrongKey' } },
        conditions: expect.arrayContaining([
          expect.objectContaining({
            type: 'Online',
            reason: 'WrongKey',
            message: expect.stringContaining('sshHostKey'),
          }),
        ]),
      }),
    );
    await dial(hub).hello(otherKey);
    await vi.waitFor(() => expect(status()?.connection).toMatchObject({ online: true }));
    expect(status()?.connection?.fault).toBeUndefined();
    const thief = dial(hub);
    thief.send(helloFor(key, { nonce: (await thief.take('challenge')).nonce, host: thief.host }));
    await expectRefused(thief, 'UnknownMachine');
    expect(status()?.connection).toMatchObject({ online: true });
  });

  test('a machine whose key was changed is put out; a deleted one, too', async () => {
    seed();
    const hub = await replica();
    const first = await connect(hub);
    seed({ identity: { sshHostKey: otherKey.line } });
    await expectRefused(first, 'WrongKey');
    const second = await dial(hub).hello(otherKey);
    api.remove(nixMachines, KEY);
    await expectRefused(second, 'UnknownMachine');
  });

  test('everybody while the stores are empty', async () => {
    seed();
    const hub = await replica('floe-0', { synced: false });
    const early = dial(hub);
    early.send(helloFor(key, { nonce: (await early.take('challenge')).nonce, host: early.host }));
    await expectRefused(early, 'NotReady');
    const ready = await fetch(`http://localhost:${hub.ports.http}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, 'the stores are not filled yet\n']);
  });

  test.each<[string, string | Buffer, number]>([
    ['not JSON', 'hello?', CLOSE.policy],
    ['binary', Buffer.from([1, 2, 3]), CLOSE.policy],
    ['too large', 'x'.repeat(MAX_MESSAGE_BYTES + 1), 1009],
    ['a report before the hello', JSON.stringify(report(1)), CLOSE.policy],
    ['more than a hello before the hello has held', JSON.stringify({ x: 'x'.repeat(GREETING_BYTES) }), 1009],
  ])('%s', async (_name, message, code) => {
    seed();
    const hub = await replica();
    const agent = dial(hub);
    await agent.take('challenge');
    agent.send(message);
    expect((await agent.ended()).code).toBe(code);
    const next = await connect(hub);
    expect(next.closed).toBeUndefined();
  });

  test('whatever bytes a stranger sends, the next agent is let in', async () => {
    seed();
    const hub = await replica();
    const upgrade =
      'GET /agent HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n';
    const anyBytes = fc.record({ upgraded: fc.boolean(), bytes: fc.uint8Array({ minLength: 1, maxLength: 2000 }) });
    await fc.assert(
      fc.asyncProperty(anyBytes, async ({ upgraded, bytes }) => {
        const socket = dialTls({ port: hub.ports.https, host: 'localhost', rejectUnauthorized: false });
        socket.on('error', () => undefined);
        await once(socket, 'secureConnect');
        socket.write(Buffer.concat([Buffer.from(upgraded ? upgrade : ''), bytes]));
        socket.end();
        socket.resume();
        await once(socket, 'close');
      }),
      { numRuns: 30 },
    );
    expect((await connect(hub)).closed).toBeUndefined();
    await vi.waitFor(async () =>
      expect(await hub.registry.metrics()).toContain('floe_hub_connections{transport="websocket"} 1\n'),
    );
  });

  test.each([
    ['another path', '/elsewhere', 'localhost', 404],
    ['no host', '/agent', undefined, 400],
    ['a broken upgrade', '/agent', 'localhost', 400],
  ])('an upgrade to %s is answered, and its socket closed whatever the peer does', async (_, path, host, code) => {
    const hub = await replica();
    const raw = dialTcp({ port: hub.ports.https, host: 'localhost', allowHalfOpen: true });
    const socket = dialTls({ socket: raw, rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    const lines = [
      `GET ${path} HTTP/1.${host === undefined ? 0 : 1}`,
      ...(host === undefined ? [] : [`Host: ${host}`]),
    ];
    // The peer never ends its side of the connection.
    socket.write(`${[...lines, 'Connection: Upgrade', 'Upgrade: websocket'].join('\r\n')}\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(String(answer)).toContain(` ${code} `);
    socket.resume();
    await vi.waitFor(async () => {
      // A socket that the hub has destroyed answers what is written to it with a reset.
      socket.write('x');
      expect(raw.closed || raw.errored !== null).toBe(true);
    });
  });

  test('more connections than there may be', async () => {
    seed();
    const hub = await replica('floe-0', { maxConnections: 1 });
    await connect(hub);
    const second = dial(hub);
    await second.ended();
    expect(second.refusedStatus).toBe(503);
  });
});

describe('a confirmation', () => {
  const ask = async (hub: RunningHub, over: object = {}) => {
    const agent = await dial(hub).hello(key, { purpose: 'confirm' });
    agent.send({ type: 'confirm', attempt: desired().id, closure: NEW, ...over });
    return agent;
  };

  test('is answered beside the session, without a write', async () => {
    seed({}, running({ desired: desired() }));
    const hub = await replica();
    const session = await connect(hub);
    session.send(report(1, 'Confirming'));
    await session.take('ack');
    const before = api.requests.length;
    expect(await (await ask(hub)).take('confirmed')).toEqual({ type: 'confirmed', attempt: desired().id });
    expect(api.requests.slice(before).filter(({ path }) => path.includes('nixmachines'))).toEqual([]);
    expect(session.closed).toBeUndefined();
  });

  test('is answered while the API server is away', async () => {
    seed({}, running({ desired: desired() }));
    const hub = await replica();
    await api.stop();
    expect((await (await ask(hub)).take('confirmed')).attempt).toBe(desired().id);
    const other = await ask(hub, { attempt: 'another' });
    expect((await other.take('refused')).reason).toBe('NotReady');
  });

  test('of something else is denied, after a look at the API server itself', async () => {
    seed({}, running({ desired: desired() }));
    const hub = await replica();
    expect((await (await ask(hub, { attempt: 'old' })).take('denied')).reason).toBe('Superseded');
    // The watch is behind: the order is known to the API server alone.
    api.watches.silence();
    seed({}, running({ desired: desired({ id: 'fresh' }) }));
    expect((await (await ask(hub, { attempt: 'fresh' })).take('confirmed')).attempt).toBe('fresh');
  });
});

describe('the end of a replica', () => {
  test('sends its agents away, writes what it knows, calls nobody offline', async () => {
    seed();
    const hub = await replica();
    const agent = await connect(hub);
    agent.send(report(1, 'Testing'));
    await vi.waitFor(async () => {
      expect(await hub.registry.metrics()).toContain('floe_hub_messages_total{direction="in",type="report"} 1');
    });
    await hub.stop();
    expect((await agent.ended()).code).toBe(CLOSE.restart);
    expect(status()).toMatchObject({ attempt: { phase: 'Testing' }, connection: { online: true } });
  });

  test('its Lease is there while it lives', async () => {
    const hub = await replica('floe-7');
    await vi.waitFor(() => expect(api.get(leases, 'floe-system/floe-hub-floe-7')?.spec?.holderIdentity).toBe('floe-7'));
    await hub.stop();
    expect(api.get(leases, 'floe-system/floe-hub-floe-7')).toBeUndefined();
  });
});

describe('what else it serves', () => {
  test('build reports have a port of their own, which agents do not see', async () => {
    const hub = await replica();
    const ask = (port: number, path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const sent = httpsRequest({ port, path, method: 'POST', rejectUnauthorized: false }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode));
        });
        sent.on('error', reject);
        sent.end();
      });
    expect(await ask(hub.ports.https, '/v1/builds')).toBe(404);
    expect(await ask(hub.ports.https, '/agent')).toBe(426);
    expect(await ask(hub.ports.builds, '/v1/builds')).toBe(401);
    expect(await ask(hub.ports.builds, '/agent')).toBe(404);
  });

  test('metrics and probes', async () => {
    seed({}, running());
    const hub = await replica();
    const agent = await connect(hub);
    agent.send(report(1));
    await agent.take('ack');
    const get = async (path: string) => await (await fetch(`http://localhost:${hub.ports.http}${path}`)).text();
    expect(await get('/healthz')).toBe('ok\n');
    expect(await get('/readyz')).toBe('ok\n');
    const metrics = await get('/metrics');
    expect(metrics).toContain('floe_hub_connections{transport="websocket"} 1');
    expect(metrics).toContain('floe_machines{namespace="shop",state="online"} 1');
    expect(metrics).toContain('floe_hub_messages_total{direction="in",type="report"} 1');
    expect(metrics).toContain('floe_hub_status_writes_total{result="written"} 1');
  });
});
