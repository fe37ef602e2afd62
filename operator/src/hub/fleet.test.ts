// The agent's own code against the hub: what both sides believe of the protocol is the same.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { SimulatedAgent } from '@floe/agent/simulated-agent';
import type { NixMachine } from '@floe/crds/nix-machine';
import { Registry } from 'prom-client';
import { generate } from 'selfsigned';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import { desired, machine, NEW, OLD } from '../conditions/machine.fixture.ts';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { EventRecorder } from '../kube/events.ts';
import { Reflector } from '../kube/reflector.ts';
import { nixMachines } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { echoReports } from './replica.fixture.ts';
import { type RunningHub, startHub } from './start-hub.ts';

const names = Array.from({ length: 12 }, (_, index) => `web-${index}`);
let folder: string;
let api: FakeApiServer;
let end: AbortController;
let hub: RunningHub;
let tls: SecureContext;
let ended: Promise<unknown>[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-hub-fleet-'));
  const notAfterDate = new Date(Date.now() + 86_400_000);
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    notAfterDate,
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  });
  await writeFile(join(folder, 'tls.crt'), pem.cert);
  await writeFile(join(folder, 'tls.key'), pem.private);
  tls = createSecureContext({ ca: pem.cert });
  api = await FakeApiServer.start();
  end = new AbortController();
  const client = api.client();
  const store = new Store<NixMachine>({ indexes: machineIndexes });
  const log = silentLog();
  const reflector = new Reflector({ client, resource: nixMachines, store, log });
  ended = [reflector.run(end.signal)];
  hub = await startHub({
    window: new CongestionWindow(),
    client,
    stores: {
      nixMachines: store,
      nixConfigs: new Store(),
      controllerRevisions: new Store({ indexes: recordIndexes }),
      isSynced: () => reflector.hasSynced,
    },
    settings: {
      namespace: 'floe-system',
      replica: 'floe-0',
      httpsPort: 0,
      buildsPort: 0,
      httpPort: 0,
      drainSeconds: 2,
      tlsCertFile: join(folder, 'tls.crt'),
      tlsKeyFile: join(folder, 'tls.key'),
    },
    registry: new Registry(),
    log,
    events: new EventRecorder({ client, instance: 'floe-0', log }),
    buildReport: echoReports,
    signal: end.signal,
  });
  ended.push(hub.closed);
  await reflector.synced;
});
afterEach(async () => {
  end.abort();
  await Promise.all(ended);
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

const seed = (name: string, spec: Partial<NixMachine['spec']>, status?: NixMachine['status']) => {
  const made = machine(status, spec);
  return api.seed(nixMachines, { ...made, metadata: { name, namespace: 'shop' } });
};
const status = (name: string) => api.get(nixMachines, `shop/${name}`)?.status;
const startAgents = () =>
  names.map((name) => {
    const health = {
      kind: 'unhealthy',
      units: ['hello.service'],
      message: 'hello.service failed (exit code 1).',
    } as const;
    const agent = new SimulatedAgent({
      hub: `https://localhost:${hub.ports.https}`,
      tls,
      namespace: 'shop',
      machine: name,
      closure: OLD,
      behaviour: () => ({ fetchMs: 5, switchMs: 5, healthMs: 5, ...(name === 'web-0' ? { health } : {}) }),
    });
    seed(name, { identity: { sshHostKey: agent.publicKey } });
    ended.push(agent.run(end.signal));
    return agent;
  });

test('a fleet is told, switches, confirms and reports; the one that fails is back on its old closure', async () => {
  const agents = startAgents();
  await vi.waitFor(() => {
    for (const name of names)
      expect(status(name)).toMatchObject({ connection: { online: true }, current: { closure: OLD } });
  }, 20_000);
  const before = api.seen({ verb: 'PATCH', path: '/status' }).length;
  for (const name of names) seed(name, {}, { desired: desired() });
  await vi.waitFor(() => {
    for (const name of names.slice(1)) expect(status(name)?.attempt?.phase).toBe('Committed');
    expect(status('web-0')?.attempt?.phase).toBe('RolledBack');
  }, 20_000);
  expect(agents.map((agent) => agent.machine.current)).toEqual([OLD, ...names.slice(1).map(() => NEW)]);
  expect(status('web-1')).toMatchObject({
    current: { closure: NEW, revision: '3f9c2ab41c07' },
    bootDefault: { closure: NEW },
  });
  const ready = (name: string) => status(name)?.conditions?.find((c) => c.type === 'Ready');
  expect(ready('web-1')).toMatchObject({ status: 'True', message: 'up to date' });
  expect(ready('web-0')?.status).toBe('False');
  expect(ready('web-0')?.message).toMatch(
    /^hello\.service failed \(exit code 1\), rolled back to .*; See: journalctl -u hello\.service on web-0$/,
  );
  expect(status('web-0')?.knownBad).toEqual([NEW]);
  // The end alone, or one phase on the way and the end: a quick succession is one write.
  const writes = api.seen({ verb: 'PATCH', path: '/status' }).length - before;
  expect(writes).toBeLessThanOrEqual(3 * names.length);
});
