// The end of a replica: nobody gets a go in its last minutes, and whoever is in mid-attempt can still confirm.
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { attempt, desired, machine, NEW } from '../conditions/machine.fixture.ts';
import { nixMachines } from '../kube/resource.ts';
import { machineKey, machineState, ScriptedAgent } from './agent.fixture.ts';
import { isInHand, isSafe, pauseBetween } from './drain.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';
import { CLOSE } from './session.ts';

const key = machineKey();
let certificate: Certificate;
let api: FakeApiServer;
let replicas: TestReplica[];
let agents: ScriptedAgent[];

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  api = await FakeApiServer.start();
  replicas = [];
  agents = [];
});
afterEach(async () => {
  for (const agent of agents) agent.vanish();
  // Nobody is in mid-attempt any more: what still stays may go.
  api.seed(nixMachines, machine({ desired: desired(), attempt: attempt('Committed') }));
  await Promise.all(replicas.map((one) => one.stop()));
  await api.close();
});

async function replica(name = 'floe-0'): Promise<TestReplica> {
  const one = await startReplica({ client: api.client(), certificate, name, settings: { drainSeconds: 20 } });
  replicas.push(one);
  return one;
}
function dial(to: TestReplica): ScriptedAgent {
  const agent = new ScriptedAgent(to.ports.https);
  agents.push(agent);
  return agent;
}
const status = () => api.get(nixMachines, 'shop/web-01')?.status;
const seed = (over: Parameters<typeof desired>[0] = {}) =>
  api.seed(nixMachines, machine({ ...status(), desired: desired(over) }, { identity: { sshHostKey: key.line } }));
const report = (seq: number, phase: string) => ({
  type: 'report',
  seq,
  state: machineState({ attempt: attempt(phase) }),
});

/** A session of a machine in mid-attempt, on a replica that then ends. */
async function endInMidAttempt(): Promise<TestReplica> {
  seed();
  const hub = await replica();
  const agent = await dial(hub).hello(key);
  await agent.take('desired');
  agent.send(report(1, 'Confirming'));
  await agent.take('ack');
  hub.end.abort();
  expect(await agent.ended()).toMatchObject({ code: CLOSE.restart });
  return hub;
}

describe('while a replica ends', () => {
  test('an attempt in Confirming is confirmed', async () => {
    const hub = await endInMidAttempt();
    const asking = await dial(hub).hello(key, { purpose: 'confirm' });
    asking.send({ type: 'confirm', attempt: desired().id, closure: NEW });
    expect(await asking.take('confirmed')).toEqual({ type: 'confirmed', attempt: desired().id });
    // Nobody is left who could take its last report: it has its answer, and that is enough.
    await hub.closed;
  });

  test('it stays no longer once another replica has the machine', async () => {
    const hub = await endInMidAttempt();
    const other = await replica('floe-1');
    await dial(other).hello(key);
    await hub.closed;
    expect(status()?.connection).toMatchObject({ online: true, replica: 'floe-1' });
  });

  test('nobody new is let in for a session', async () => {
    const hub = await endInMidAttempt();
    const late = dial(hub);
    await expect(late.hello(key)).rejects.toThrow('closed (1012 Draining)');
    expect(await late.take('refused')).toMatchObject({ reason: 'Draining', retryAfterSeconds: 1 });
  });

  test('where nothing is in hand it ends at once', async () => {
    seed({ go: false });
    const hub = await replica();
    const agent = await dial(hub).hello(key);
    hub.end.abort();
    await agent.ended();
    await hub.closed;
  });

  test('no go is given any more', async () => {
    seed({ go: false });
    const hub = await replica();
    const agent = await dial(hub).hello(key);
    expect((await agent.take('desired')).go).toBe(false);
    hub.end.abort();
    seed({ go: true });
    await agent.ended();
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')?.status?.desired?.go).toBe(true));
    expect(agent.heard.filter(({ type }) => type === 'desired')).toEqual([]);
  });
});

describe('who is in the middle of something', () => {
  const now = new Date('2026-03-01T10:00:00Z');
  const old = '2026-03-01T08:00:00Z';
  test.each<[string, NixMachineStatus, boolean]>([
    ['nothing was ever ordered', {}, false],
    ['testing', { desired: desired(), attempt: attempt('Testing') }, true],
    ['confirming', { desired: desired(), attempt: attempt('Confirming') }, true],
    ['rolling back', { desired: desired(), attempt: attempt('RollingBack') }, true],
    ['done', { desired: desired(), attempt: attempt('Committed') }, false],
    ['fetching, and may go on', { desired: desired(), attempt: attempt('Fetching') }, true],
    ['fetching only', { desired: desired({ go: false }), attempt: attempt('Fetched') }, false],
    ['told a moment ago', { desired: desired({ id: 'new', since: '2026-03-01T09:59:50Z' }) }, true],
    [
      'told long ago, never begun',
      { desired: desired({ id: 'new', since: old }), attempt: attempt('Committed') },
      false,
    ],
  ])('%s', (_name, parts, wanted) => {
    const one = machine(parts);
    expect(isInHand(one, now)).toBe(wanted);
    expect(isSafe(one, { replica: 'floe-0', now })).toBe(!wanted);
    const elsewhere = machine({ ...parts, connection: { online: true, since: old, replica: 'floe-9' } });
    expect(isSafe(elsewhere, { replica: 'floe-0', now })).toBe(true);
  });

  test('sessions are spread, within a share of the time', () => {
    expect(pauseBetween(0, 100)).toBe(0);
    expect(pauseBetween(4000, 100)).toBe(2.5);
    expect(pauseBetween(100_000, 100)).toBeCloseTo(0.3);
  });
});
