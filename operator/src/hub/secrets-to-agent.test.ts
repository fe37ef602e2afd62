// Hub and agent together: all that a machine may name arrives, by WebSocket and by long poll, and what changes follows.
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Caller } from '@floe/agent/hub/connect';
import { Reporter } from '@floe/agent/hub/reporter';
import { runSession } from '@floe/agent/hub/session';
import { TransportMemory } from '@floe/agent/hub/transport';
import { makeHostKey } from '@floe/agent/identity/make-host-key';
import { realClock } from '@floe/agent/real-clock';
import { parseAccounts } from '@floe/agent/secrets/accounts';
import { SecretFolder } from '@floe/agent/secrets/secret-folder';
import { SecretKeeper } from '@floe/agent/secrets/secret-keeper';
import { noReactions } from '@floe/agent/secrets/unit-reactions';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { nixMachines, secrets } from '../kube/resource.ts';
import { machineState } from './agent.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';

/** As many and as large as a machine may name; fewer where each round takes its time. */
const COUNTS = { websocket: 64, poll: 9 } as const;
const SIZE = 64 * 1024;
const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
const accounts = parseAccounts(`root:x:${uid}:0::/:`, `root:x:${gid}:`);

let certificate: Certificate;
let api: FakeApiServer;
let hub: TestReplica;
let end: AbortController;
let folder: string;
let ended: Promise<unknown>[];

beforeAll(async () => {
  certificate = await makeCertificate();
});
afterAll(() => certificate.remove());
beforeEach(async () => {
  api = await FakeApiServer.start();
  end = new AbortController();
  ended = [];
  folder = await mkdtemp(join(tmpdir(), 'floe-secrets-'));
  hub = await startReplica({ client: api.client(), certificate, settings: { secretPollSeconds: 0.2 } });
});
afterEach(async () => {
  end.abort();
  await Promise.all(ended);
  await hub.stop();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

const content = (index: number, version: number) => Buffer.alloc(SIZE, `${version}.${index} `);
let names: string[];

function seedSecrets(version: number): void {
  for (const [index, name] of names.entries()) {
    const data = { value: content(index, index === 0 ? version : 0).toString('base64') };
    api.seed(secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: 'shop' }, data });
  }
}

/** A session with a keeper of files, reported as an agent does. */
function connect(transport: 'websocket' | 'poll'): SecretKeeper {
  const key = makeHostKey();
  const named = names.map((name) => ({ name, secretRef: { name, key: 'value' } }));
  api.seed(nixMachines, machine(undefined, { identity: { sshHostKey: key.publicKey }, secrets: named }));
  const transports = new TransportMemory();
  transports.worked(transport);
  const caller: Caller = {
    address: { url: `https://localhost:${hub.ports.https}`, tls: createSecureContext({ ca: [certificate.ca] }) },
    namespace: 'shop',
    machine: 'web-01',
    key,
    agent: { version: '0', features: ['secrets'] },
    transports,
  };
  const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const keeper = new SecretKeeper({
    files: new SecretFolder(folder, { mustBeInMemory: false }),
    accounts: async () => accounts,
    reactions: async () => ({}),
    units: noReactions,
    log: quiet,
    now: () => '2026-03-01T10:00:00Z',
  });
  const reporter = new Reporter();
  keeper.onChange(() => {
    const { status } = keeper;
    reporter.update(machineState(status === undefined ? {} : { secrets: status }));
  });
  const ports = { reporter, clock: realClock, log: quiet, secrets: keeper, onDesired: () => undefined };
  ended.push(runSession({ ...ports, caller: async () => caller, probeMs: 3_600_000 }, end.signal));
  return keeper;
}

const stored = () => api.get(nixMachines, 'shop/web-01')?.status?.secrets;
const soon = { timeout: 30_000, interval: 50 };

test.each(['websocket', 'poll'] as const)('by %s', async (transport) => {
  const count = COUNTS[transport];
  names = Array.from({ length: count }, (_, index) => `file-${index}`);
  seedSecrets(0);
  connect(transport);
  await vi.waitFor(() => expect(stored()).toMatchObject({ total: count, delivered: count }), soon);
  expect(stored()?.failed).toBeUndefined();
  expect(await hub.counts('floe_hub_connections')).toEqual({ [transport]: 1 });
  for (const [index, name] of names.entries()) {
    expect((await readFile(join(folder, name))).equals(content(index, 0)), name).toBe(true);
  }
  const untouched = await stat(join(folder, 'file-1'));

  seedSecrets(1);
  await vi.waitFor(async () => expect((await readFile(join(folder, 'file-0'))).equals(content(0, 1))).toBe(true), soon);
  expect((await stat(join(folder, 'file-1'))).ino).toBe(untouched.ino);

  const { metadata, ...rest } = api.get(nixMachines, 'shop/web-01') ?? machine();
  api.seed(nixMachines, { ...rest, metadata: { ...metadata, generation: 2 }, spec: { ...rest.spec, secrets: [] } });
  await vi.waitFor(() => expect(stored()).toBeUndefined(), soon);
  expect((await readdir(folder)).filter((name) => !name.startsWith('.'))).toEqual([]);
  // Nobody watches or lists Secrets, and no content went to the API server.
  expect(api.seen({ path: '/secrets' }).filter(({ path }) => !path.includes('/secrets/'))).toEqual([]);
});
