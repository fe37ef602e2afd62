// Whatever strangers and machines gone mad send to the hub: refused with a reason, the connection closed, nothing kept, and the next agent is let in.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as dialTcp, type Socket } from 'node:net';
import { connect as dialTls, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { MAX_MESSAGE_BYTES, MAX_POLL_BYTES } from '@floe/crds/protocol-limits';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { attempt, desired, machine } from '../conditions/machine.fixture.ts';
import { nixMachines } from '../kube/resource.ts';
import { helloFor, machineKey, machineState, ScriptedAgent } from './agent.fixture.ts';
import { PollAgent, post } from './poll-agent.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';
import { CLOSE } from './session.ts';

const key = machineKey();
const other = machineKey();
let certificate: Certificate;
let api: FakeApiServer;
let hub: TestReplica;
let agents: ScriptedAgent[];
let sockets: (Socket | TLSSocket)[];

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  api = await FakeApiServer.start();
  agents = [];
  sockets = [];
  const one = machine({ desired: desired() }, { identity: { sshHostKey: key.line } });
  api.seed(nixMachines, one);
  api.seed(nixMachines, {
    ...one,
    metadata: { ...one.metadata, name: 'web-02', uid: 'u-2' },
    spec: { ...one.spec, identity: { sshHostKey: other.line } },
  });
  hub = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  for (const agent of agents) agent.vanish();
  await hub.stop();
  await api.close();
});

function dial(): ScriptedAgent {
  const agent = new ScriptedAgent(hub.ports.https);
  agents.push(agent);
  return agent;
}
const report = (seq: number, over: object = {}) => ({ type: 'report', seq, state: { ...machineState(), ...over } });

/** The hub is as it was: nobody is connected, and an agent is let in by either way. */
async function isWell(): Promise<void> {
  await vi.waitFor(async () => expect(await hub.counts('floe_hub_connections')).toEqual({}), { timeout: 20_000 });
  const agent = await dial().hello(key);
  await agent.take('desired');
  agent.close();
  await agent.ended();
  const poll = await new PollAgent(hub.ports.https).hello(other, { machine: 'web-02' });
  await poll.take('desired');
}

/** Opens a socket with TLS and writes raw bytes. */
async function raw(bytes: string | Buffer): Promise<TLSSocket> {
  const socket = dialTls({ port: hub.ports.https, host: 'localhost', rejectUnauthorized: false });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(bytes);
  return socket;
}
const ended = async (socket: Socket | TLSSocket): Promise<void> => {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
};

/** A client frame of a WebSocket, with any bits in its first byte. */
function frame(first: number, payload: Buffer): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
  const head = payload.length < 126 ? Buffer.from([first, 0x80 | payload.length]) : Buffer.alloc(10);
  if (payload.length >= 126) {
    head[0] = first;
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  return Buffer.concat([head, mask, masked]);
}
const UPGRADE = [
  'GET /agent HTTP/1.1',
  'Host: localhost',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${createHash('md5').update('x').digest('base64')}`,
  'Sec-WebSocket-Extensions: permessage-deflate',
  '',
  '',
].join('\r\n');

const hello = { nonce: 'n'.repeat(44), host: 'localhost' };
/** Messages that are almost right: one part of a good one is spoilt. */
const almost: fc.Arbitrary<unknown> = fc
  .tuple(
    fc.constantFrom<object>(helloFor(key, hello), report(1), report(2, { attempt: attempt('Testing') }), {
      type: 'confirm',
      attempt: 'a',
      closure: desired().closure,
    }),
    fc.constantFrom(
      'type',
      'version',
      'namespace',
      'machine',
      'publicKey',
      'signature',
      'seq',
      'state',
      'closure',
      '__proto__',
    ),
    fc.anything({ withNullPrototype: true, maxDepth: 3 }),
  )
  .map(([good, field, value]) => ({ ...good, [field]: value }));

describe('a connection ends with a reason', () => {
  test('whatever is sent instead of a hello, by WebSocket and by long poll', async () => {
    const anything = fc.oneof(
      fc.string(),
      fc.json(),
      almost.map(safe),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(anything, async (sent) => {
        const agent = dial();
        await agent.take('challenge');
        agent.send(sent);
        const { code } = await agent.ended();
        expect(code).toBe(CLOSE.policy);
        const poll = await new PollAgent(hub.ports.https).open();
        const first = { ack: poll.got, first: 1, wait: 1 };
        const body = typeof sent === 'string' && isObject(sent) ? { ...first, messages: [JSON.parse(sent)] } : sent;
        const { status } = await post(poll.port, { channel: poll.channel, body: body === '' ? ' ' : body });
        expect([200, 400]).toContain(status);
        const after = await poll.ask([], { wait: 1 });
        expect(after.body.closed).toMatchObject({ code: CLOSE.policy });
      }),
      { numRuns: 60 },
    );
    await isWell();
  });

  test('whatever a machine that was let in sends after a good report', async () => {
    await fc.assert(
      fc.asyncProperty(almost.map(safe), async (sent) => {
        const agent = await dial().hello(key);
        agent.send(report(3));
        agent.send(sent);
        // Some spoilt parts spoil nothing; then a report that comes twice ends it.
        agent.send(report(3));
        expect((await agent.ended()).code).toBe(CLOSE.policy);
        expect(agent.heard.at(-1)).toMatchObject({ type: 'refused', reason: 'BadMessage' });
      }),
      { numRuns: 40 },
    );
    await isWell();
  });

  test.each<[string, () => unknown[]]>([
    ['a report before the hello', () => [report(1)]],
    ['a confirmation before the hello', () => [{ type: 'confirm', attempt: 'a', closure: desired().closure }]],
    ['what only a hub says', () => [{ type: 'welcome', version: 1, replica: 'x', heartbeatSeconds: 1 }]],
    ['a list', () => [[report(1)]]],
    ['nested a thousand times', () => [JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`)]],
    ['a prototype', () => [JSON.parse('{"__proto__":{"type":"hello"},"type":"__proto__"}')]],
    ['a type of the language', () => [{ type: 'constructor' }, { type: 'toString' }]],
  ])('%s', async (_name, messages) => {
    const agent = dial();
    await agent.take('challenge');
    for (const message of messages()) agent.send(message);
    expect(await agent.ended()).toMatchObject({ code: CLOSE.policy, reason: 'BadMessage' });
    await isWell();
  });

  test('a replayed hello, on another connection and on another channel', async () => {
    const agent = dial();
    const { nonce } = await agent.take('challenge');
    const good = helloFor(key, { nonce, host: agent.host });
    agent.send(good);
    await agent.take('welcome');
    const thief = dial();
    await thief.take('challenge');
    thief.send(good);
    expect(await thief.take('refused')).toMatchObject({ reason: 'BadSignature' });
    const poll = await new PollAgent(hub.ports.https).open();
    await poll.take('challenge');
    await poll.ask([good]);
    expect(await poll.take('refused')).toMatchObject({ reason: 'BadSignature' });
    expect(agent.closed).toBeUndefined();
  });

  test('a machine with the name of another', async () => {
    const agent = dial();
    const { nonce } = await agent.take('challenge');
    agent.send(helloFor(other, { nonce, host: agent.host, machine: 'web-01' }));
    expect(await agent.take('refused')).toMatchObject({ reason: 'UnknownMachine' });
    expect((await agent.ended()).code).toBe(CLOSE.policy);
  });
});

describe('what is too much', () => {
  test('a message, a body, a body that does not say how long it is', async () => {
    const agent = await dial().hello(key);
    agent.send('x'.repeat(MAX_MESSAGE_BYTES + 1));
    expect((await agent.ended()).code).toBe(1009);
    const poll = await new PollAgent(hub.ports.https).hello(key);
    expect((await post(poll.port, { channel: poll.channel, body: ' '.repeat(MAX_POLL_BYTES + 1) })).status).toBe(413);
    const again = await new PollAgent(hub.ports.https).hello(key);
    const chunked = await raw(
      `POST /agent/poll HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${again.channel}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    for (let part = 0; part < 40; part++) chunked.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`);
    const [answer] = (await once(chunked, 'data')) as [Buffer];
    expect(answer.toString()).toContain('413');
    chunked.destroy();
    await isWell();
  });

  test('bombs: compressed frames, compressed bodies', async () => {
    const bomb = Buffer.alloc(64 << 20);
    const socket = await raw(UPGRADE);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toContain('101');
    expect(answer.toString()).not.toContain('permessage-deflate');
    // FIN, RSV1 (compressed), text.
    socket.write(frame(0xc1, deflateRawSync(bomb)));
    await ended(socket);
    const poll = await new PollAgent(hub.ports.https).open();
    const headers = { 'content-encoding': 'gzip' };
    const { status } = await post(poll.port, { channel: poll.channel, headers, body: gzipSync(bomb) });
    expect(status).toBe(415);
    await poll.take('challenge');
    const { channel, got } = poll;
    await post(poll.port, {
      channel,
      body: { ack: got, first: 1, messages: [], wait: 0, close: { code: 1000, reason: '' } },
    });
    await isWell();
  });

  test('frames that break the rules of WebSockets', async () => {
    const wrong = [
      frame(0x83, Buffer.from('x')),
      frame(0x80, Buffer.from('a continuation of nothing')),
      frame(0x09, Buffer.alloc(200)),
      frame(0x81, Buffer.from([0xff, 0xfe])),
      frame(0x88, Buffer.from([0])),
      Buffer.from([0x81, 0x05, 1, 2, 3, 4, 5]),
      Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
      ...Array.from({ length: 10 }, () => Buffer.concat([randomBytes(64), frame(0x83, Buffer.alloc(1))])),
    ];
    for (const bytes of wrong) {
      const socket = await raw(UPGRADE);
      await once(socket, 'data');
      socket.write(bytes);
      socket.end();
      await ended(socket);
    }
    await isWell();
  });

  test('connections that never shake hands, never ask, never say hello', async () => {
    const half = Array.from({ length: 300 }, () => {
      const socket = dialTcp(hub.ports.https, 'localhost');
      socket.on('error', () => undefined);
      return socket;
    });
    sockets.push(...half);
    await Promise.all(half.map((socket) => once(socket, 'connect')));
    const slow = await Promise.all(
      Array.from({ length: 20 }, () => raw('POST /agent/poll HTTP/1.1\r\nHost: x\r\nX-A: ')),
    );
    const silent = Array.from({ length: 20 }, () => dial());
    await Promise.all(silent.map((agent) => agent.take('challenge')));
    // None of them keeps a machine out.
    const agent = await dial().hello(key);
    await agent.take('desired');
    agent.close();
    // And each is ended by the hub itself.
    await Promise.all([...slow.map(ended), ...silent.map((one) => one.ended()), ...half.map(ended)]);
    await isWell();
  }, 60_000);
});

test('memory is flat: eight hundred strangers leave nothing behind', async () => {
  const round = async (count: number) => {
    for (let n = 0; n < count; n += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          if (index % 2 === 0) {
            const agent = new ScriptedAgent(hub.ports.https);
            await agent.take('challenge');
            agent.send('x'.repeat(50_000));
            await agent.ended();
          } else {
            const poll = await new PollAgent(hub.ports.https).open();
            await post(poll.port, { channel: poll.channel, body: 'x'.repeat(15_000) });
          }
        }),
      );
    }
  };
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  await round(400);
  const before = heap();
  await round(400);
  // 400 of those bodies would be 13 MB; ended channels that may still be asked are bounded, and there already.
  expect((heap() - before) / 2 ** 20).toBeLessThan(6);
  expect(await hub.counts('floe_hub_connections')).toEqual({});
}, 60_000);

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** As text, whatever it is. */
function safe(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}
