// Join tokens against a whole replica: who is made visible, who is let in, and that no use counts for two.
import { APPROVE_KEY, joinObjectName, joinTokenHash, keyFingerprint, newJoinToken } from '@floe/crds/join-token';
import type { NixMachine } from '@floe/crds/nix-machine';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { machine } from '../conditions/machine.fixture.ts';
import type { Secret } from '../kube/builtin.ts';
import { configMaps, nixMachines, secrets } from '../kube/resource.ts';
import { helloFor, type MachineKey, machineKey, ScriptedAgent } from './agent.fixture.ts';
import { PollAgent } from './poll-agent.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';

const LATER = '2999-01-01T00:00:00Z';
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
  hub = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  for (const agent of agents) agent.vanish();
  await hub.stop();
  await api.close();
});

/** A machine without identity, once this replica knows it. */
async function newcomer(name = 'web-01', over: Partial<NixMachine['metadata']> = {}): Promise<void> {
  const one = machine();
  api.seed(nixMachines, { ...one, metadata: { ...one.metadata, name, uid: name, ...over } });
  await vi.waitFor(() => expect(hub.machines.get(`shop/${name}`)).toBeDefined());
}

/** Puts a token into the API and returns its text. */
function token(fields: Record<string, string> = {}, over: Partial<Secret> = {}): string {
  const made = newJoinToken();
  const data = { sha256: joinTokenHash(made.token), expiresAt: LATER, uses: '1', ...fields };
  api.seed(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: joinObjectName(made.name), namespace: 'shop', uid: 's', labels: { 'floe.dev/join': 'true' } },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
    ...over,
  });
  return made.token;
}

/** The refusal that a hello with a token meets. */
async function ask(key: MachineKey, joinToken: string | undefined, name = 'web-01') {
  const agent = new ScriptedAgent(hub.ports.https);
  agents.push(agent);
  const { nonce } = await agent.take('challenge');
  const over = joinToken === undefined ? {} : { joinToken };
  agent.send(helloFor(key, { nonce, host: agent.host, machine: name }, over));
  return await agent.take('refused');
}
const status = (name = 'web-01') => api.get(nixMachines, `shop/${name}`)?.status;
const used = (text: string) => api.get(configMaps, `shop/${joinObjectName(text.split('.')[1] ?? '')}`)?.data?.['used'];

describe('a machine that asks to join', () => {
  test('is made visible with its key, and is not let in', async () => {
    await newcomer();
    const key = machineKey();
    const text = token();
    const fingerprint = keyFingerprint(key.canonical);
    const refused = await ask(key, text);
    expect(refused).toMatchObject({ reason: 'PendingApproval', message: expect.stringContaining(fingerprint) });
    await vi.waitFor(() =>
      expect(status()?.pendingKey).toMatchObject({ fingerprint, publicKey: `ssh-ed25519 ${key.canonical}` }),
    );
    expect(status()?.pendingKey?.token).toBe(text.split('.')[1]);
    expect([used(text), JSON.stringify(status())]).toEqual(['1', expect.not.stringContaining(text)]);
  });

  test('and asks again costs no further use', async () => {
    await newcomer();
    const key = machineKey();
    const text = token();
    await ask(key, text);
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')?.status?.pendingKey).toBeDefined());
    expect(await ask(key, text)).toMatchObject({ reason: 'PendingApproval' });
    expect(used(text)).toBe('1');
  });

  test('is let in when its key stands in the spec, and nothing is pending any more', async () => {
    await newcomer();
    const key = machineKey();
    await ask(key, token());
    await vi.waitFor(() => expect(status()?.pendingKey).toBeDefined());
    const approved = machine(status(), { identity: { sshHostKey: status()?.pendingKey?.publicKey ?? '' } });
    api.seed(nixMachines, approved);
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')?.spec.identity).toBeDefined());
    await new PollAgent(hub.ports.https).hello(key);
    await vi.waitFor(() => expect(status()).toMatchObject({ connection: { online: true } }));
    expect(status()?.pendingKey).toBeUndefined();
  });

  test('is let in when an annotation names its fingerprint, also after the status was lost; another key is not', async () => {
    const key = machineKey();
    await newcomer('web-01', { annotations: { [APPROVE_KEY]: keyFingerprint(key.canonical) } });
    await new PollAgent(hub.ports.https).hello(key);
    await vi.waitFor(() => expect(status()?.pendingKey?.fingerprint).toBe(keyFingerprint(key.canonical)));
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')?.status?.pendingKey).toBeDefined());
    expect(await ask(machineKey(), token())).toMatchObject({ reason: 'BadToken' });
    expect(await hub.counts('floe_hub_refused_total')).toEqual({ WrongKey: 1 });
  });

  test('an annotation counts for nothing where the spec names a key', async () => {
    const key = machineKey();
    const one = machine(undefined, { identity: { sshHostKey: machineKey().line } });
    api.seed(nixMachines, {
      ...one,
      metadata: { ...one.metadata, annotations: { [APPROVE_KEY]: keyFingerprint(key.canonical) } },
    });
    await vi.waitFor(() => expect(hub.machines.get('shop/web-01')).toBeDefined());
    expect(await ask(key, token())).toMatchObject({ reason: 'BadToken' });
    expect(await hub.counts('floe_hub_refused_total')).toEqual({ WrongKey: 1 });
  });
});

describe('a token is not taken', () => {
  test.each<[string, () => string, string]>([
    ['that nobody made', () => newJoinToken().token, 'nobody made it'],
    ['that has another secret', () => `${token().slice(0, -4)}AAAA`, 'nobody made it'],
    ['whose Secret is no token', () => token({}, { metadata: { name: 'x', namespace: 'shop' } }), 'nobody made it'],
    ['that has expired', () => token({ expiresAt: '2020-01-01T00:00:00Z' }), 'expired'],
    ['whose end can not be read', () => token({ expiresAt: 'soon' }), 'expired'],
    ['for another machine', () => token({ machine: 'db-01' }), 'for db-01 alone'],
    ['for other labels', () => token({ selector: 'role=db' }), 'role=db'],
    ['without a use', () => token({ uses: '0' }), 'used up'],
    ['with uses that are no number', () => token({ uses: 'many' }), 'used up'],
    ['that is none', () => 'let me in', 'nobody made it'],
  ])('%s', async (_name, make, says) => {
    await newcomer();
    expect(await ask(machineKey(), make())).toMatchObject({
      reason: 'BadToken',
      message: expect.stringContaining(says),
    });
    expect(status()?.pendingKey).toBeUndefined();
    expect(await hub.counts('floe_hub_refused_total')).toEqual({ BadToken: 1 });
  });

  test('from a machine that nobody made, which hears what a made-up token hears at one that is there', async () => {
    const unknown = await ask(machineKey(), token(), 'web-09');
    expect(unknown).toMatchObject({ reason: 'BadToken' });
    await newcomer();
    expect(await ask(machineKey(), newJoinToken().token)).toEqual(unknown);
    expect(await hub.counts('floe_hub_refused_total')).toEqual({ UnknownMachine: 1, BadToken: 1 });
  });

  test('without one it is as ever', async () => {
    await newcomer();
    expect(await ask(machineKey(), undefined)).toMatchObject({ reason: 'UnknownMachine' });
    expect(await hub.counts('floe_hub_refused_total')).toEqual({ NoIdentity: 1 });
  });

  test('its Secret is looked up once in a while only, whoever asks', async () => {
    await newcomer();
    for (let time = 0; time < 5; time++) await ask(machineKey(), newJoinToken().token);
    expect(api.seen({ verb: 'GET', path: '/secrets/' })).toHaveLength(1);
  });
});

test('of ten machines that come at once with a token for three, three are made visible', async () => {
  const names = Array.from({ length: 10 }, (_, index) => `web-${index}`);
  for (const name of names) await newcomer(name);
  const text = token({ uses: '3' });
  const reasons: string[] = [];
  // Those that lost a race, or came when too many asked, ask again as agents do.
  let left = names;
  for (let round = 0; left.length > 0 && round < 4; round++) {
    const answers = await Promise.all(left.map(async (name) => ({ name, ...(await ask(machineKey(), text, name)) })));
    reasons.push(...answers.filter(({ reason }) => reason !== 'NotReady').map(({ reason }) => reason));
    left = answers.filter(({ reason }) => reason === 'NotReady').map(({ name }) => name);
    if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 5_100));
  }
  expect(reasons.filter((reason) => reason === 'PendingApproval')).toHaveLength(3);
  expect(reasons.filter((reason) => reason === 'BadToken')).toHaveLength(7);
  expect(used(text)).toBe('3');
}, 40_000);
