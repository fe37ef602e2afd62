// Lists of secrets: of whom, with what in them, when anew; contents only to who may have them.
import { createHmac } from 'node:crypto';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { SecretMessage, SecretsMessage } from '@floe/crds/secrets';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { SecretDelivery, type SecretSession } from './secret-delivery.ts';
import { newSession, step } from './session.ts';

const KEY = 'shop/web-01';
type Data = Record<string, string> | 'forbidden' | undefined;

let secrets: Record<string, Data>;
let reads: string[];
let down: boolean;
let machines: Record<string, NixMachine>;
let end: AbortController;
let delivery: SecretDelivery;

class Session implements SecretSession {
  lists: SecretsMessage[] = [];
  contents: SecretMessage[] = [];
  handle(input: Parameters<SecretSession['handle']>[0]): void {
    // As a real session does: the same list is sent once.
    const isNew = (list: SecretsMessage) => JSON.stringify(list) !== JSON.stringify(this.lists.at(-1));
    if (input.kind === 'secrets') this.lists.push(...[input.message].filter(isNew));
    else this.contents.push(input.message);
  }
  get entries(): unknown {
    return this.lists.at(-1)?.entries;
  }
}

const named = (...names: string[]): NixMachine => ({
  ...machine(undefined, { secrets: names.map((name) => ({ name, secretRef: { name, key: 'value' } })) }),
});
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

beforeEach(() => {
  [secrets, reads, down, machines] = [{ 'shop/tls': { value: 'KEY' } }, [], false, { [KEY]: named('tls') }];
  end = new AbortController();
  delivery = new SecretDelivery({
    read: async (namespace, name) => {
      reads.push(`${namespace}/${name}`);
      if (down) throw new Error('the API server is away');
      const data = secrets[`${namespace}/${name}`];
      if (data === undefined || data === 'forbidden') return data;
      return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value)]));
    },
    machine: (key) => machines[key],
    log: silentLog(),
    signal: end.signal,
    pollSeconds: 0.02,
  });
});
afterEach(() => end.abort());

async function begun(key = KEY): Promise<Session> {
  const session = new Session();
  delivery.begin(key, session);
  await settle();
  return session;
}

test('a list names files, access and salted digests, and no content', async () => {
  const session = await begun();
  const [list] = session.lists;
  const digest = createHmac('sha256', Buffer.from(list?.salt ?? '', 'base64'))
    .update('KEY')
    .digest('hex');
  expect(session.entries).toEqual([{ name: 'tls', owner: 'root', group: 'root', mode: '0400', digest }]);
  expect(JSON.stringify(session.lists)).not.toContain('KEY');
});

test('a machine without secrets gets an empty list, so that what it has left vanishes', async () => {
  machines[KEY] = machine();
  expect((await begun()).entries).toEqual([]);
  expect(reads).toEqual([]);
});

test.each<[string, Data, string, string]>([
  ['no Secret', undefined, 'tls', 'there is no Secret tls'],
  ['no key', { other: 'x' }, 'tls', 'has no key value'],
  ['too much', { value: 'x'.repeat(65_537) }, 'tls', '65537 bytes'],
  ['forbidden', 'forbidden', 'tls', 'may not read Secret tls'],
  ["Floe's signing key", { value: 'x' }, 'floe-signing-key', "Floe's own"],
  ["Floe's cache credentials", { value: 'x' }, 'floe-cache-credentials', "Floe's own"],
])('%s is said in the entry', async (_, data, name, says) => {
  machines[KEY] = named(name);
  secrets = { [`shop/${name}`]: data };
  const session = await begun();
  expect(session.entries).toMatchObject([{ name, fault: expect.stringContaining(says) }]);
  await delivery.want(KEY, session, [name]);
  expect(session.contents).toEqual([{ type: 'secret', name }]);
});

test('a content goes to who names it, and to no other machine, session or namespace', async () => {
  secrets['shop/other'] = { value: 'OTHER' };
  secrets['lab/tls'] = { value: 'LAB' };
  machines['lab/web-01'] = named('tls');
  const session = await begun();
  await delivery.want(KEY, session, ['tls', 'other', '../lab/tls']);
  expect(session.contents.map(({ content }) => content && Buffer.from(content, 'base64').toString())).toEqual([
    'KEY',
    undefined,
    undefined,
  ]);
  const newer = await begun();
  session.contents = [];
  await delivery.want(KEY, session, ['tls']);
  expect([session.contents, newer.lists.length]).toEqual([[], 1]);
  const lab = await begun('lab/web-01');
  await delivery.want('lab/web-01', lab, ['tls']);
  expect(Buffer.from(lab.contents[0]?.content ?? '', 'base64').toString()).toBe('LAB');
});

test('a changed content is found, and leads to a new list for all who name it; the same content to none', async () => {
  machines['shop/web-02'] = named('tls');
  const one = await begun();
  const two = await begun('shop/web-02');
  const before = JSON.stringify(one.entries);
  const running = delivery.run();
  await expect.poll(() => reads.length).toBeGreaterThan(4);
  const sent = new Set([...one.lists, ...two.lists].map((list) => JSON.stringify(list)));
  expect(sent.size).toBe(1);
  secrets['shop/tls'] = { value: 'NEW' };
  await expect.poll(() => JSON.stringify(one.entries) !== before && JSON.stringify(two.entries) !== before).toBe(true);
  end.abort();
  await running;
});

test('an edited list and the verb reconcile are seen at once; what is named no more is not read any more', async () => {
  const session = await begun();
  secrets['shop/token'] = { value: 'T' };
  const edited = named('token');
  machines[KEY] = { ...edited, metadata: { ...edited.metadata, generation: 2 } };
  delivery.machineChanged(KEY, machines[KEY]);
  await settle();
  expect(session.lists.at(-1)).toMatchObject({ generation: 2, entries: [{ name: 'token' }] });
  reads = [];
  secrets['shop/token'] = { value: 'U' };
  const asked = {
    ...machines[KEY],
    metadata: { ...machines[KEY].metadata, annotations: { 'floe.dev/reconcile': 'now' } },
  };
  delivery.machineChanged(KEY, asked);
  delivery.machineChanged(KEY, asked);
  await settle();
  expect([reads, session.lists.length]).toEqual([['shop/token'], 3]);
});

test('while the API server is away nothing is sent: the machine keeps what it has, and gets its list later', async () => {
  down = true;
  const session = await begun();
  expect(session.lists).toEqual([]);
  const running = delivery.run();
  down = false;
  await expect.poll(() => session.lists.length).toBeGreaterThan(0);
  end.abort();
  await running;
});

test('an agent that asks without end is no burden', async () => {
  const session = await begun();
  reads = [];
  for (let i = 0; i < 300; i++) await delivery.want(KEY, session, ['tls']);
  expect(reads.length).toBeLessThanOrEqual(3);
  expect(session.contents.filter(({ content }) => content !== undefined).length).toBeLessThanOrEqual(193);
  expect(session.contents.at(-1)).toEqual({ type: 'secret', name: 'tls' });
});

test('a connection that is no session gets nothing', () => {
  const list: SecretsMessage = { type: 'secrets', generation: 1, salt: 's'.repeat(44), entries: [] };
  const content: SecretMessage = { type: 'secret', name: 'tls', content: 'S0VZ' };
  for (const phase of ['greeting', 'confirming', 'closed'] as const) {
    const state = { ...newSession, phase };
    expect(step(state, { kind: 'secrets', message: list }).actions).toEqual([]);
    expect(step(state, { kind: 'secret', message: content }).actions).toEqual([]);
    const asks = JSON.stringify({ type: 'wantSecrets', names: ['tls'] });
    const { actions } = step(state, { kind: 'text', text: asks, at: 1 });
    expect(actions.some(({ kind }) => kind === 'wantSecrets')).toBe(false);
  }
  const session = { ...newSession, phase: 'session' as const };
  const sent = step(session, { kind: 'secrets', message: list });
  expect(sent.actions).toEqual([{ kind: 'send', message: list }]);
  expect(step(sent.state, { kind: 'secrets', message: list }).actions).toEqual([]);
});

test('a fleet that connects at once and asks for one content is one or two reads', async () => {
  for (let i = 0; i < 200; i++) machines[`shop/m${i}`] = named('tls');
  const sessions = Object.keys(machines).map((key) => ({ key, session: new Session() }));
  for (const { key, session } of sessions) delivery.begin(key, session);
  await settle();
  for (const { key, session } of sessions) await delivery.want(key, session, ['tls']);
  expect(sessions.every(({ session }) => session.contents.length === 1 && session.lists.length === 1)).toBe(true);
  expect(reads.length).toBeLessThanOrEqual(2);
});
