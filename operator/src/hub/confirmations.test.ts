// The hub's side of confirmations that are late, early, repeated or foreign, by either transport: denied, and nothing is written.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { NOT_SERVED } from '../../../e2e/fake-apiserver/faults.ts';
import { desired, machine, NEW, OLD } from '../conditions/machine.fixture.ts';
import { nixMachines } from '../kube/resource.ts';
import { machineKey, ScriptedAgent } from './agent.fixture.ts';
import { PollAgent } from './poll-agent.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';

const keys = { 'web-01': machineKey(), 'web-02': machineKey() };
type Name = keyof typeof keys;
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
  await tell('web-01', undefined);
  hub = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  // Nothing that was asked here has led to a write.
  expect(api.seen({ verb: 'PATCH', path: '/nixmachines/' })).toEqual([]);
  for (const agent of agents) agent.vanish();
  await hub.stop();
  await api.close();
});

/** Gives a machine an order, or none. */
async function tell(name: Name, order: Parameters<typeof desired>[0] | undefined): Promise<void> {
  const one = machine(order && { desired: desired(order) }, { identity: { sshHostKey: keys[name].line } });
  api.seed(nixMachines, { ...one, metadata: { ...one.metadata, name, uid: name } });
}

type Ask = (name: Name, attempt: string, closure?: string) => Promise<string>;
const said = (verdict: { type: string; reason?: string }) => verdict.reason ?? verdict.type;

const ANSWERS: readonly string[] = ['confirmed', 'denied', 'refused'];

const byWebSocket: Ask = async (name, attempt, closure = NEW) => {
  const agent = new ScriptedAgent(hub.ports.https);
  agents.push(agent);
  await agent.hello(keys[name], { machine: name, purpose: 'confirm' });
  agent.send({ type: 'confirm', attempt, closure });
  await agent.ended();
  return said(agent.heard.find(({ type }) => ANSWERS.includes(type)) ?? { type: 'nothing' });
};
const byPoll: Ask = async (name, attempt, closure = NEW) => {
  const agent = await new PollAgent(hub.ports.https).hello(keys[name], { machine: name, purpose: 'confirm' });
  await agent.ask([{ type: 'confirm', attempt, closure }]);
  while (agent.closed === undefined) await agent.ask([], { wait: 5 });
  return said(agent.heard.find(({ type }) => ANSWERS.includes(type)) ?? { type: 'nothing' });
};

describe.each<[string, Ask]>([
  ['by WebSocket', byWebSocket],
  ['by long poll', byPoll],
])('%s', (_transport, ask) => {
  test('a late confirmation is denied: the order is another by now', async () => {
    await tell('web-01', { id: 'first' });
    expect(await ask('web-01', 'first')).toBe('confirmed');
    await tell('web-01', { id: 'second', sequence: 6 });
    expect(await ask('web-01', 'first')).toBe('Superseded');
    expect(await ask('web-01', 'second')).toBe('confirmed');
  });

  test('an early confirmation is denied, and makes no later one good', async () => {
    expect(await ask('web-01', 'first')).toBe('NotDesired');
    await tell('web-01', { id: 'other' });
    expect(await ask('web-01', 'first')).toBe('Superseded');
  });

  test('a repeated confirmation is answered in the same way', async () => {
    await tell('web-01', { id: 'first' });
    expect([await ask('web-01', 'first'), await ask('web-01', 'first')]).toEqual(['confirmed', 'confirmed']);
  });

  test('while the API server has just started, what this replica does not know is no denial', async () => {
    await tell('web-01', { id: 'first' });
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')?.status?.desired?.id).toBe('first'));
    api.faults.inject({ verb: 'GET', path: '/nixmachines/web-01' }, NOT_SERVED);
    expect(await ask('web-01', 'second')).toBe('NotReady');
    expect(await ask('web-01', 'second')).toBe('Superseded');
  });

  test('a foreign confirmation is denied: of another machine, or for another closure', async () => {
    await tell('web-01', { id: 'first' });
    await tell('web-02', { id: 'second' });
    await vi.waitFor(() => expect(hub.machines.get('shop/web-02')).toBeDefined());
    expect(await ask('web-02', 'first')).toBe('Superseded');
    expect(await ask('web-01', 'first', OLD)).toBe('OtherClosure');
  });
});

test('a second question on one connection is none', async () => {
  await tell('web-01', { id: 'first' });
  const agent = await new PollAgent(hub.ports.https).hello(keys['web-01'], { purpose: 'confirm' });
  const question = { type: 'confirm', attempt: 'first', closure: NEW };
  await agent.ask([question, question]);
  while (agent.closed === undefined) await agent.ask([], { wait: 5 });
  expect(agent.heard.filter(({ type }) => type === 'confirmed').length).toBeLessThanOrEqual(1);
});

test('what one machine asks again and again costs the API server a handful of reads', async () => {
  await tell('web-01', { id: 'a' });
  const answers: string[] = [];
  for (let time = 0; time < 15; time++) answers.push(await byWebSocket('web-01', `made-up-${time}`));
  expect(new Set(answers)).toEqual(new Set(['Superseded', 'NotReady']));
  expect(api.seen({ verb: 'GET', path: '/nixmachines/web-01' }).length).toBeLessThanOrEqual(11);
  // What is desired needs no read, whatever was asked before.
  expect(await byWebSocket('web-01', 'a')).toBe('confirmed');
}, 60_000);
