// Who is visited and when, what a failed visit leads to, and who speaks for a machine.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { machineIndexes } from '../conditions/indexes.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { machineKey } from '../hub/agent.fixture.ts';
import type { News } from '../hub/news.ts';
import { Store } from '../kube/store.ts';
import { SshError } from './connection.ts';
import { Courier, type CourierOptions } from './courier.ts';
import { createSshMetrics } from './ssh-metrics.ts';
import type { VisitOptions } from './visit.ts';

const key = machineKey();
const ssh = { host: 'web-01.example', secretRef: { name: 'floe-ssh' } };

function reached(name: string, target: NixMachine['spec']['target'] = { ssh }, line = key.line): NixMachine {
  const made = machine(undefined, { identity: { sshHostKey: line } });
  const spec = { ...made.spec, ...(target === undefined ? {} : { target }) };
  version += 1;
  return { ...made, metadata: { ...made.metadata, name, namespace: 'shop', resourceVersion: `${version}` }, spec };
}

let version = 0;
let leader: AbortController;
let machines: Store<NixMachine>;
let visits: VisitOptions[];
let news: (News & { key: string })[];
let told: string[];
let outcome: (options: VisitOptions) => Promise<void>;
const registry = () => new Registry();

beforeEach(() => {
  vi.useFakeTimers();
  leader = new AbortController();
  machines = new Store<NixMachine>({ indexes: machineIndexes });
  visits = [];
  news = [];
  told = [];
  outcome = async () => undefined;
});
afterEach(() => {
  leader.abort();
  vi.useRealTimers();
});

function start(over: Partial<CourierOptions> = {}): Promise<void> {
  const metrics = createSshMetrics(registry(), () => 0);
  return new Courier({
    machines,
    configs: new Store<NixConfig>(),
    submit: (name, one) => news.push({ key: name, ...one }),
    readMachine: async () => reached('web-01'),
    readSecret: async () => ({ privateKey: Buffer.from('the key') }),
    tell: (_, reason) => told.push(reason),
    metrics,
    replica: 'floe-0',
    log: pino({ level: 'silent' }),
    signal: leader.signal,
    random: () => 0.5,
    visit: async (options) => {
      visits.push(options);
      await outcome(options);
    },
    ...over,
  }).run();
}

const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000);

test('only machines with target ssh are visited, soon and then at their interval', async () => {
  machines.put(reached('web-01'));
  machines.put(reached('web-02', { agent: {} }, machineKey().line));
  void start();
  await seconds(10);
  expect(visits.map(({ address }) => address)).toEqual([
    { host: 'web-01.example', port: 22, user: 'root', hostKey: key.line.split(' ')[1], privateKey: 'the key' },
  ]);
  await seconds(250);
  expect(visits).toHaveLength(1);
  await seconds(100);
  expect(visits).toHaveLength(2);
});

test('what a visit sees is online, in the words of the hub', async () => {
  machines.put(reached('web-01'));
  const state = { sequence: 0, reboot: { required: false, reasons: [] }, failedUnits: [], facts: {} };
  outcome = async ({ report }) => report(state);
  void start();
  await seconds(10);
  const connection = { online: true, replica: 'floe-0' };
  expect(news).toMatchObject([{ key: 'shop/web-01', connection, agent: 'none', state }]);
});

test.each<[SshError['fault'], string]>([
  ['hostKey', 'WrongKey'],
  ['login', 'LoginRefused'],
  ['unreachable', 'Unreachable'],
])('%s: offline, told once, and tried again less and less often', async (fault, reason) => {
  machines.put(reached('web-01'));
  outcome = async () => {
    throw new SshError(fault, 'as it is');
  };
  void start();
  await seconds(6);
  expect(news.at(-1)?.connection).toMatchObject({
    online: false,
    replica: 'floe-0',
    fault: { reason, message: 'as it is' },
  });
  await seconds(60);
  const early = visits.length;
  expect(early).toBeGreaterThan(2);
  await seconds(60);
  expect(visits.length - early).toBeLessThan(early);
  expect(told).toEqual([reason]);
});

test('of two machines with one key the older is visited, the newer is not', async () => {
  machines.put(reached('web-01'));
  machines.put(reached('web-02'));
  void start();
  await seconds(10);
  expect(visits.length).toBeGreaterThan(0);
  expect(new Set(visits.map(({ address }) => address.host)).size).toBe(1);
  expect(told).toEqual(['DuplicateKey']);
});

test('a Secret without the key is said', async () => {
  machines.put(reached('web-01'));
  void start({ readSecret: async () => undefined });
  await seconds(10);
  expect([visits.length, told]).toEqual([0, ['NoPrivateKey']]);
});

test('an order that comes is carried out at once; one that comes during a visit, after it', async () => {
  machines.put(reached('web-01'));
  void start();
  await seconds(10);
  const desired = {
    id: 'order1',
    sequence: 1,
    revision: 'abcdefabcdef',
    closure: `/nix/store/${'0'.repeat(32)}-new`,
    reason: 'Immediate',
    go: true,
    since: '2026-01-01T00:00:00Z',
  };
  let end: () => void = () => undefined;
  outcome = () =>
    new Promise((resolve) => {
      end = resolve;
    });
  machines.put({ ...reached('web-01'), status: { desired } });
  await seconds(1);
  expect(visits).toHaveLength(2);
  expect(visits[1]?.desired()).toMatchObject({ id: 'order1', go: true });
  machines.put({ ...reached('web-01'), status: { desired: { ...desired, id: 'order2', sequence: 2 } } });
  await seconds(1);
  expect(visits).toHaveLength(2);
  expect(visits[1]?.desired()).toMatchObject({ id: 'order2' });
  end();
  await seconds(1);
  expect(visits).toHaveLength(3);
});

test('another target ends the visit, and nothing is said of the machine any more', async () => {
  machines.put(reached('web-01'));
  outcome = ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  void start();
  await seconds(10);
  machines.put(reached('web-01', { agent: {} }));
  await seconds(400);
  expect([visits.length, visits[0]?.signal.aborted, news]).toEqual([1, true, []]);
});

test('no more visits at once than allowed, and the leader ends when they have', async () => {
  for (let i = 0; i < 5; i++) machines.put(reached(`web-${i}`, { ssh }, machineKey().line));
  const ends: (() => void)[] = [];
  outcome = () =>
    new Promise((resolve) => {
      ends.push(resolve);
    });
  const running = start({ concurrency: 2 });
  await seconds(10);
  expect(visits).toHaveLength(2);
  ends[0]?.();
  await seconds(1);
  expect(visits).toHaveLength(3);
  leader.abort();
  for (const end of ends) end();
  await running;
  expect(visits).toHaveLength(3);
});
