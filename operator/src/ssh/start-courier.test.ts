// The courier beside a hub: from an order in the API to a machine that runs it, over real SSH, and back into the status.
import type { NixConfig } from '@floe/crds/nix-config';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { desired, machine } from '../conditions/machine.fixture.ts';
import { makeCertificate, quietLog, startReplica, type TestReplica } from '../hub/replica.fixture.ts';
import { EventRecorder } from '../kube/events.ts';
import { nixMachines, secrets } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { closure, LoopbackMachine } from './machine.fixture.ts';
import { startCourier } from './start-courier.ts';

const LIMIT_MS = 180_000;
vi.setConfig({ testTimeout: LIMIT_MS, hookTimeout: LIMIT_MS });

let api: FakeApiServer;
let remote: LoopbackMachine;
let replica: TestReplica;
let certificate: Awaited<ReturnType<typeof makeCertificate>>;

beforeEach(async () => {
  api = await FakeApiServer.start();
  remote = await LoopbackMachine.start();
  certificate = await makeCertificate();
  replica = await startReplica({ client: api.client(), certificate });
});
afterEach(async () => {
  await replica.stop();
  await remote.stop();
  await certificate.remove();
  await api.close();
});

test('an order becomes what runs, and the status says so', async () => {
  const { host, port, hostKey, privateKey } = remote.address;
  const metadata = { name: 'floe-ssh', namespace: 'shop' };
  const data = { privateKey: Buffer.from(privateKey).toString('base64') };
  api.seed(secrets, { apiVersion: 'v1', kind: 'Secret', metadata, data });
  const identity = { sshHostKey: `ssh-ed25519 ${hostKey}` };
  const target = { ssh: { host, port, secretRef: { name: 'floe-ssh' } } };
  api.seed(nixMachines, machine({ desired: desired({ closure: closure('new') }) }, { identity, target }));
  const client = api.client();
  const running = startCourier({
    client,
    hub: replica,
    stores: { nixMachines: replica.machines, nixConfigs: new Store<NixConfig>() },
    replica: 'floe-0',
    events: new EventRecorder({ client, instance: 'floe-0', log: quietLog }),
    registry: replica.registry,
    log: quietLog,
    signal: replica.end.signal,
  });
  const status = () => api.get(nixMachines, 'shop/web-01')?.status;
  await vi.waitFor(() => expect(status()?.attempt?.phase).toBe('Committed'), { timeout: LIMIT_MS, interval: 200 });
  expect(status()).toMatchObject({
    connection: { online: true, replica: 'floe-0' },
    current: { closure: closure('new'), revision: desired().revision },
    attempt: { desiredId: desired().id, from: closure('old') },
  });
  const conditions = Object.fromEntries((status()?.conditions ?? []).map((one) => [one.type, one.status]));
  expect(conditions).toMatchObject({ Online: 'True', UpToDate: 'True', Healthy: 'True' });
  expect(await remote.state()).toEqual({ current: 'new', profile: 'new', timers: 0 });
  expect(await replica.counts('floe_ssh_confirmations_total')).toEqual({ confirmed: 1 });
  replica.end.abort();
  await running;
});
