// Long poll against a whole replica over real TLS: the same session, and what goes wrong between two requests.
import { Agent } from 'node:https';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { attempt, desired, machine, NEW } from '../conditions/machine.fixture.ts';
import { nixMachines } from '../kube/resource.ts';
import { helloFor, machineKey, machineState, ScriptedAgent } from './agent.fixture.ts';
import { PollAgent, post } from './poll-agent.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';
import { CLOSE } from './session.ts';

const KEY = 'shop/web-01';
const key = machineKey();
let certificate: Certificate;
let api: FakeApiServer;
let hub: TestReplica;
let agents: ScriptedAgent[];

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  api = await FakeApiServer.start();
  agents = [];
  api.seed(nixMachines, machine({ desired: desired() }, { identity: { sshHostKey: key.line } }));
  hub = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  for (const agent of agents) agent.vanish();
  await hub.stop();
  await api.close();
});

const agent = () => new PollAgent(hub.ports.https);
const status = () => api.get(nixMachines, KEY)?.status;
const report = (seq: number, phase = 'Testing') => ({
  type: 'report',
  seq,
  state: machineState({ attempt: attempt(phase) }),
});

test('hello, order, report, acknowledgement; presence by asking; offline when the agent says so', async () => {
  const one = await agent().hello(key);
  expect(await one.take('desired')).toMatchObject({ id: desired().id, closure: NEW, go: true });
  await one.ask([report(1, 'Committed')]);
  expect(await one.take('ack')).toEqual({ type: 'ack', seq: 1 });
  expect(status()).toMatchObject({
    attempt: { phase: 'Committed' },
    connection: { online: true, replica: 'floe-0' },
  });
  expect(await hub.counts('floe_hub_connections')).toEqual({ poll: 1 });
  const { channel, got, sent } = one;
  const bye = await post(one.port, {
    channel,
    body: { ack: got, first: sent + 1, messages: [], wait: 9, close: { code: 1000, reason: 'done' } },
  });
  expect(bye.body.closed).toMatchObject({ code: 1000 });
  await vi.waitFor(() => expect(status()?.connection?.online).toBe(false));
});

test('a request is held until there is something to say', async () => {
  const one = await agent().hello(key);
  await one.take('desired');
  const held = one.ask([], { wait: 25 });
  api.seed(
    nixMachines,
    machine({ desired: desired({ id: 'b', sequence: 6 }) }, { identity: { sshHostKey: key.line } }),
  );
  expect((await held).body.messages).toMatchObject([{ type: 'desired', id: 'b' }]);
});

test('a confirmation needs a channel of its own, and is the same', async () => {
  const one = await agent().hello(key, { purpose: 'confirm' });
  await one.ask([{ type: 'confirm', attempt: desired().id, closure: NEW }]);
  expect(await one.take('confirmed')).toEqual({ type: 'confirmed', attempt: desired().id });
  expect(one.closed).toEqual({ code: CLOSE.done, reason: 'answered' });
});

describe('what is lost or doubled', () => {
  test('an answer that was lost is given again', async () => {
    const one = await agent().hello(key);
    await one.take('desired');
    await one.ask([report(1)]);
    const request = { channel: one.channel, body: { ack: one.got, first: one.sent + 1, messages: [], wait: 5 } };
    const lost = await post(one.port, request);
    const again = await post(one.port, request);
    expect(lost.body.messages).toMatchObject([{ type: 'ack' }]);
    expect(again.body.messages).toEqual(lost.body.messages);
    expect(again.body.first).toBe(lost.body.first);
  });

  test('a report that comes twice is taken once', async () => {
    const one = await agent().hello(key);
    await one.take('desired');
    const body = { ack: one.got, first: one.sent + 1, messages: [report(1)], wait: 0 };
    await post(one.port, { channel: one.channel, body });
    const again = await post(one.port, {
      channel: one.channel,
      body: { ...body, messages: [report(1), report(2, 'Committed')] },
    });
    expect(again.body.ack).toBe(one.sent + 2);
    expect(again.body.closed).toBeUndefined();
    expect((await hub.counts('floe_hub_messages_total'))['in report']).toBe(2);
  });

  test('a batch with a gap ends the channel, and its last words can be asked for again', async () => {
    const one = await agent().hello(key);
    await one.take('desired');
    const body = { ack: one.got, first: one.sent + 2, messages: [report(1)], wait: 0 };
    for (let time = 0; time < 2; time++) {
      const { body: said } = await post(one.port, { channel: one.channel, body });
      expect(said.closed).toEqual({ code: CLOSE.policy, reason: 'BadMessage' });
      expect(said.messages).toMatchObject([{ type: 'refused', reason: 'BadMessage' }]);
    }
  });

  test('a newer request answers the one that is held', async () => {
    const one = await agent().hello(key);
    await one.take('desired');
    const held = one.ask([], { wait: 25 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const newer = one.ask([report(1)], { wait: 5 });
    expect((await held).body.messages).toEqual([]);
    await newer;
    expect(await one.take('ack')).toEqual({ type: 'ack', seq: 1 });
  });
});

describe('one session for each machine', () => {
  test('by long poll, it takes the place of a WebSocket, and the other way round', async () => {
    const socket = new ScriptedAgent(hub.ports.https);
    agents.push(socket);
    await socket.hello(key);
    const one = await agent().hello(key);
    expect(await socket.ended()).toMatchObject({ code: CLOSE.replaced });
    const other = new ScriptedAgent(hub.ports.https);
    agents.push(other);
    await other.hello(key);
    await one.ask([], { wait: 5 });
    await vi.waitFor(async () => {
      if (one.closed === undefined) await one.ask();
      expect(one.closed).toMatchObject({ code: CLOSE.replaced });
    });
    await vi.waitFor(() => expect(status()?.connection?.online).toBe(true));
  });
});

describe('who asks for what is not theirs', () => {
  test('a channel that nobody has', async () => {
    const answered = await post(hub.ports.https, { channel: 'x'.repeat(43), body: {} });
    expect(answered).toMatchObject({ status: 410, body: { error: expect.stringContaining('open a new one') } });
  });

  test('an answer to the challenge of another channel', async () => {
    const one = await agent().open();
    const other = await agent().open();
    const { nonce } = await one.take('challenge');
    await other.take('challenge');
    const { body } = await other.ask([helloFor(key, { nonce, host: other.host })], { wait: 5 });
    expect(body.messages).toMatchObject([{ type: 'refused', reason: 'BadSignature' }]);
    expect(body.closed).toMatchObject({ code: CLOSE.policy });
  });

  test.each<[string, Parameters<typeof post>[1], number]>([
    ['GET', { method: 'GET' }, 405],
    ['compressed', { headers: { 'content-encoding': 'gzip' }, body: Buffer.from([31, 139]) }, 415],
    ['opening with a large body', { body: 'x'.repeat(2000) }, 413],
  ])('%s', async (_name, given, wanted) => {
    expect((await post(hub.ports.https, given)).status).toBe(wanted);
  });

  test.each<[string, unknown, number]>([
    ['no JSON', '{', 400],
    ['no envelope', { ack: 0 }, 400],
    ['a negative number', { ack: -1, first: 1, messages: [], wait: 0 }, 400],
    ['a message that is none', { ack: 0, first: 1, messages: [7], wait: 0 }, 400],
    ['more before the hello than a hello takes', 'x'.repeat(20_000), 413],
  ])('%s ends the channel', async (_name, body, wanted) => {
    const one = await agent().open();
    expect((await post(one.port, { channel: one.channel, body })).status).toBe(wanted);
    const after = await one.ask();
    expect(after.body.closed).toMatchObject({ code: CLOSE.policy });
    expect((await hub.counts('floe_hub_refused_total'))['BadMessage']).toBe(1);
  });

  test('too many requests end the channel', async () => {
    const pool = new Agent({ keepAlive: true, maxSockets: 4 });
    const one = await agent().hello(key);
    await one.take('desired');
    const body = { ack: one.got, first: one.sent + 1, messages: [], wait: 0 };
    const statuses = await Promise.all(
      Array.from({ length: 80 }, () => post(one.port, { channel: one.channel, body, agent: pool })),
    );
    pool.destroy();
    expect(statuses.some(({ status: code }) => code === 429)).toBe(true);
    await vi.waitFor(async () => expect(await hub.counts('floe_hub_connections')).toEqual({}));
  });
});

test('a hub that ends says so to a request that is held', async () => {
  const one = await agent().hello(key);
  await one.take('desired');
  const held = one.ask([], { wait: 25 });
  await new Promise((resolve) => setTimeout(resolve, 50));
  hub.end.abort();
  expect((await held).body.closed).toMatchObject({ code: CLOSE.restart });
});
