// floe-agent as it is started on a machine: its own process, files below --root, a proxy from the environment, a join token.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APPROVE_KEY, joinObjectName, joinTokenHash, newJoinToken } from '@floe/crds/join-token';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { machine } from '../conditions/machine.fixture.ts';
import { nixMachines, secrets } from '../kube/resource.ts';
import { inspectingProxy } from './proxies.fixture.ts';
import { type Certificate, makeCertificate, startReplica, type TestReplica } from './replica.fixture.ts';

/** The program that runs: from source, or the bundle that FLOE_TEST_AGENT names, with the Node of FLOE_TEST_NODE. */
const PROGRAM = process.env['FLOE_TEST_AGENT'] ?? join(import.meta.dirname, '../../../agent/src/main.ts');
const NODE = process.env['FLOE_TEST_NODE'] ?? process.execPath;
let certificate: Certificate;
let proxyCertificate: Certificate;
let api: FakeApiServer;
let hub: TestReplica;
let root: string;
let agent: ChildProcess | undefined;
let said = '';

beforeAll(async () => {
  certificate = await makeCertificate();
  proxyCertificate = await makeCertificate('a proxy');
});
afterAll(() => Promise.all([certificate.remove(), proxyCertificate.remove()]));
beforeEach(async () => {
  api = await FakeApiServer.start();
  hub = await startReplica({ client: api.client(), certificate });
  root = await mkdtemp(join(tmpdir(), 'floe-agent-program-'));
  for (const folder of ['etc/ssh', 'run', 'nix/var/nix/profiles', 'var/lib']) {
    await mkdir(join(root, folder), { recursive: true });
  }
});
afterEach(async () => {
  if (agent?.exitCode === null) {
    agent.kill('SIGTERM');
    await once(agent, 'exit');
  }
  await hub.stop();
  await api.close();
  await rm(root, { recursive: true, force: true });
});

test('it joins by a token, is approved by its fingerprint, and stays connected by long poll', async () => {
  const key = join(root, 'etc/ssh/ssh_host_ed25519_key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const fingerprint = execFileSync('ssh-keygen', ['-lf', `${key}.pub`], { encoding: 'utf8' }).split(' ')[1] ?? '';
  const { name, token } = newJoinToken();
  await writeFile(join(root, 'etc/token'), `${token}\n`);
  await writeFile(join(root, 'etc/ca.pem'), `${certificate.ca}\n${proxyCertificate.ca}\n`);
  const settings = {
    hub: `https://localhost:${hub.ports.https}`,
    namespace: 'shop',
    machine: 'web-01',
    caFile: '/etc/ca.pem',
    hostKeyFile: '/etc/ssh/ssh_host_ed25519_key',
  };
  await writeFile(join(root, 'etc/floe-agent.json'), JSON.stringify(settings));
  api.seed(nixMachines, machine());
  const data = { sha256: joinTokenHash(token), expiresAt: '2999-01-01T00:00:00Z', uses: '1' };
  api.seed(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: joinObjectName(name), namespace: 'shop', uid: 's', labels: { 'floe.dev/join': 'true' } },
    data: Object.fromEntries(
      Object.entries(data).map(([field, text]) => [field, Buffer.from(text).toString('base64')]),
    ),
  });
  await vi.waitFor(() => expect(hub.machines.get('shop/web-01')).toBeDefined());
  const privateKey = await readFile(join(proxyCertificate.folder, 'tls.key'), 'utf8');
  const proxy = await inspectingProxy({ cert: proxyCertificate.ca, key: privateKey });
  try {
    agent = spawn(NODE, [PROGRAM, '--root', root, 'run', '--join-token-file', '/etc/token'], {
      env: { PATH: process.env['PATH'], HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [agent.stdout, agent.stderr]) stream?.on('data', (text) => (said += String(text)));
    const status = () => api.get(nixMachines, 'shop/web-01')?.status;
    const limit = { timeout: 60_000, interval: 100 };
    await vi.waitFor(() => expect(status()?.pendingKey?.fingerprint).toBe(fingerprint), limit);
    await vi.waitFor(() => expect(said).toContain('PendingApproval'), limit);
    const one = machine(status());
    api.seed(nixMachines, { ...one, metadata: { ...one.metadata, annotations: { [APPROVE_KEY]: fingerprint } } });
    await vi.waitFor(() => expect(status()?.connection?.online).toBe(true), limit);
    expect(await hub.counts('floe_hub_connections')).toEqual({ poll: 1 });
    expect(said).toContain('by long poll');
    expect(said).not.toContain(token);
  } finally {
    await proxy.close();
  }
}, 120_000);
