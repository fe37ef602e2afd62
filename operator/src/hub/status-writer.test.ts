import type { NixMachine } from '@floe/crds/nix-machine';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { NOT_SERVED } from '../../../e2e/fake-apiserver/faults.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { machineIndexes } from '../conditions/indexes.ts';
import { attempt, machine } from '../conditions/machine.fixture.ts';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { parseKey } from '../kube/object.ts';
import { nixMachines } from '../kube/resource.ts';
import { Store } from '../kube/store.ts';
import { machineState } from './agent.fixture.ts';
import { type MachineApi, StatusWriter } from './status-writer.ts';

const KEY = 'shop/web-01';
let api: FakeApiServer;
let store: Store<NixMachine>;
let writer: StatusWriter;
let counts: string[];
const end = new AbortController();

beforeEach(async () => {
  api = await FakeApiServer.start();
  const client = api.client();
  store = new Store({ indexes: machineIndexes });
  counts = [];
  const port: MachineApi = {
    get: (key, options) => client.get(nixMachines, parseKey(key), options),
    patchStatus: (key, patch, { signal }) =>
      client.mergePatch(nixMachines, parseKey(key), patch as object, { subresource: 'status', signal }),
  };
  writer = new StatusWriter({
    replica: 'floe-0',
    api: port,
    machines: store,
    records: () => [],
    window: new CongestionWindow(),
    log: silentLog(),
    count: (result) => counts.push(result),
    signal: end.signal,
    mergeMs: { short: 30, long: 60 },
    maxBackoffSeconds: 0.05,
  });
  store.put(api.seed(nixMachines, machine()));
});
afterEach(() => api.close());

const phase = (name: string) => ({ state: machineState({ attempt: attempt(name) }) });
const stored = () => api.get(nixMachines, KEY)?.status;
const patches = () => api.seen({ verb: 'PATCH', path: '/status' }).length;
const submitted = (name: string) => new Promise<void>((resolve) => writer.submit(KEY, phase(name), resolve));

describe('StatusWriter', () => {
  test('a quick succession is one write, acknowledged once', async () => {
    const first = vi.fn();
    writer.submit(KEY, { connection: { online: true, replica: 'floe-0', at: new Date() }, agent: { version: '1' } });
    writer.submit(KEY, phase('Fetching'), first);
    await submitted('Testing');
    expect(patches()).toBe(1);
    expect(first).not.toHaveBeenCalled();
    expect(stored()).toMatchObject({
      attempt: { phase: 'Testing' },
      connection: { online: true },
      agent: { version: '1' },
    });
    expect(store.get(KEY)?.metadata.resourceVersion).toBe(api.get(nixMachines, KEY)?.metadata.resourceVersion);
  });

  test('what the status says already is acknowledged without a request', async () => {
    await submitted('Testing');
    const before = api.requests.length;
    await submitted('Testing');
    expect(api.requests.length).toBe(before);
    expect(counts).toEqual(['written', 'unchanged']);
  });

  test('one write at a time; what comes meanwhile is one more', async () => {
    writer.submit(KEY, phase('Committed'));
    await vi.waitFor(() => expect(writer.pending).toBe(1));
    writer.submit(KEY, phase('Fetching'));
    writer.submit(KEY, phase('Testing'));
    await submitted('RolledBack');
    expect(patches()).toBeLessThanOrEqual(2);
    expect(stored()?.attempt?.phase).toBe('RolledBack');
  });

  test('a lost race is redone on the fresh object and keeps what the other wrote', async () => {
    api.seed(nixMachines, machine({ waiting: { reason: 'NoRollout', message: 'm', since: 's' } }));
    await submitted('Testing');
    expect(stored()).toMatchObject({ attempt: { phase: 'Testing' }, waiting: { reason: 'NoRollout' } });
    expect(counts).toEqual(['conflict', 'written']);
  });

  test('what waits here from before a machine connected to another replica undoes nothing of what it reported there', async () => {
    writer.submit(KEY, { connection: { online: true, replica: 'floe-0', at: new Date() }, ...phase('Fetching') });
    await vi.waitFor(() => expect(stored()?.attempt?.phase).toBe('Fetching'));
    const late = submitted('Testing');
    const elsewhere = { connection: { online: true, since: '2026-03-01T09:00:00Z', replica: 'floe-1' } };
    api.seed(nixMachines, machine({ ...elsewhere, attempt: attempt('Committed') }));
    await late;
    expect(stored()).toMatchObject({ attempt: { phase: 'Committed' }, connection: { replica: 'floe-1' } });

    writer.submit(KEY, { connection: { online: true, replica: 'floe-0', at: new Date() } });
    await submitted('RolledBack');
    expect(stored(), 'it is back').toMatchObject({
      attempt: { phase: 'RolledBack' },
      connection: { replica: 'floe-0' },
    });
  });

  test.each([
    ['overloaded', { kind: 'status', status: 503 } as const],
    ['told to wait', { kind: 'status', status: 429, retryAfterSeconds: 0.01 } as const],
    ['cut off', { kind: 'reset' } as const],
  ])('an API server that is %s: the newest state gets there in the end', async (_name, fault) => {
    api.faults.inject({ verb: 'PATCH', path: '/status' }, fault, 3);
    const storedWhenAcknowledged: unknown[] = [];
    writer.submit(KEY, phase('Testing'), () => storedWhenAcknowledged.push(stored()?.attempt?.phase));
    await vi.waitFor(() => expect(counts).toContain('failed'), 20_000);
    await submitted('Committed');
    expect(stored()?.attempt?.phase).toBe('Committed');
    expect(writer.pending).toBe(0);
    // The state before may have got there on a slow host; it is never acknowledged before it is stored.
    expect(['', 'Testing', 'Committed']).toContain(storedWhenAcknowledged.join());
  });

  test('an API server that is away and comes back', async () => {
    await api.stop();
    const done = submitted('Committed');
    await vi.waitFor(() => expect(counts).toContain('failed'));
    expect(writer.pending).toBe(1);
    await api.listen();
    await done;
    expect(stored()?.attempt?.phase).toBe('Committed');
  });

  test('an API server that has just started and does not serve the kind yet', async () => {
    api.faults.inject({ verb: 'PATCH', path: '/status' }, NOT_SERVED, 2);
    await submitted('Committed');
    expect(stored()?.attempt?.phase).toBe('Committed');
  });

  test('what is refused for good blocks nobody', async () => {
    api.faults.inject({ verb: 'PATCH', path: '/status' }, { kind: 'status', status: 422 }, 1);
    await submitted('Testing');
    await submitted('Committed');
    expect(stored()?.attempt?.phase).toBe('Committed');
  });

  test('a machine that ends another attempt in each report is a write a second', async () => {
    const started = performance.now();
    for (let time = 0; time < 40; time++) {
      writer.submit(KEY, phase(time % 2 === 0 ? 'Committed' : 'RolledBack'));
      await vi.waitFor(() => expect(counts.length + writer.pending).toBeGreaterThan(0));
      if (time < 12) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Ten at once, and one for each second that passes.
    const seconds = (performance.now() - started) / 1000;
    expect(api.seen({ verb: 'PATCH', path: '/status' }).length).toBeLessThanOrEqual(11 + seconds);
    await vi.waitFor(() => expect(writer.pending).toBe(0), 20_000);
    expect(stored()?.attempt?.phase).toBe('RolledBack');
  });

  test('a machine that was deleted is dropped', async () => {
    api.remove(nixMachines, KEY);
    writer.submit(KEY, phase('Committed'));
    await vi.waitFor(() => expect(writer.pending).toBe(0));
    writer.submit('shop/never', phase('Committed'));
    await vi.waitFor(() => expect(writer.pending).toBe(0));
  });

  test('at the end everything is written without waiting', async () => {
    const late = new AbortController();
    writer.submit(KEY, phase('Testing'));
    await writer.drain(late.signal);
    expect(stored()?.attempt?.phase).toBe('Testing');
    await api.stop();
    writer.submit(KEY, phase('Committed'));
    const drained = writer.drain(late.signal);
    late.abort();
    await drained;
    expect(writer.pending).toBe(1);
  });
});
