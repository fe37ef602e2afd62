// Tests of the event recorder: one Event for repetitions, bounded, and never a failure of its caller.
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { EventRecorder, type Happening } from './events.ts';
import { createKubeMetrics } from './metrics.ts';
import type { KubeObject } from './object.ts';
import { events } from './resource.ts';

const PATIENCE = { timeout: 10_000, interval: 5 };
const end = { now: new AbortController() };
let api: FakeApiServer;
let registry: Registry;
let recorder: EventRecorder;
let run: Promise<void>;

beforeEach(async () => {
  api = await FakeApiServer.start();
  registry = new Registry();
  recorder = new EventRecorder({
    client: api.client(),
    instance: 'operator-1',
    log: silentLog(),
    metrics: createKubeMetrics(registry),
  });
  end.now = new AbortController();
  run = recorder.run(end.now.signal);
});
afterEach(async () => {
  end.now.abort();
  await run;
  await api.close();
});

function machine(name: string): KubeObject {
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: { name, namespace: 'n', uid: `uid-${name}`, resourceVersion: '7' },
  };
}

const failed: Happening = { type: 'Warning', reason: 'Failed', message: 'it failed', action: 'Switch' };
const counts = () => api.list(events).map(({ series }) => series?.count ?? 1);

test('an event says what happened to what', async () => {
  recorder.event(machine('a'), failed);
  await vi.waitFor(() => expect(api.list(events)).toHaveLength(1), PATIENCE);
  expect(api.list(events)[0]).toMatchObject({
    metadata: { namespace: 'n', name: expect.stringMatching(/^a\.[0-9a-f]{16}$/) },
    eventTime: expect.stringMatching(/\.\d{6}Z$/),
    type: 'Warning',
    reason: 'Failed',
    note: 'it failed',
    action: 'Switch',
    reportingController: 'floe.dev/operator',
    reportingInstance: 'operator-1',
    regarding: { apiVersion: 'floe.dev/v1alpha1', kind: 'NixMachine', name: 'a', namespace: 'n', uid: 'uid-a' },
  });
});

test('repetitions count up, others are events of their own', async () => {
  recorder.event(machine('a'), failed);
  await vi.waitFor(() => expect(counts()).toEqual([1]), PATIENCE);
  recorder.event(machine('a'), failed);
  recorder.event(machine('a'), failed);
  recorder.event(machine('b'), failed);
  recorder.event(machine('a'), { ...failed, message: 'something else' });
  await vi.waitFor(() => expect(counts().sort()).toEqual([1, 1, 3]), PATIENCE);
});

test.each([
  ['503', { kind: 'status', status: 503, retryAfterSeconds: 0 }],
  ['a reset', { kind: 'reset' }],
] as const)('%s is tried again', async (_, fault) => {
  api.faults.inject({}, fault);
  recorder.event(machine('a'), failed);
  await vi.waitFor(() => expect(counts()).toEqual([1]), PATIENCE);
});

test('an event that is gone is made anew at the next occurrence', async () => {
  recorder.event(machine('a'), failed);
  await vi.waitFor(() => expect(counts()).toEqual([1]), PATIENCE);
  api.remove(events, `n/${api.list(events)[0]?.metadata.name}`);
  recorder.event(machine('a'), failed);
  await vi.waitFor(async () => expect(await registry.metrics()).toContain('{reason="refused"} 1'), PATIENCE);
  recorder.event(machine('a'), failed);
  await vi.waitFor(() => expect(counts()).toEqual([1]), PATIENCE);
});

test('one object cannot flood, and nothing grows without bound while the server is away', async () => {
  await api.stop();
  for (let i = 0; i < 100; i += 1) {
    recorder.event(machine('a'), { ...failed, message: `${i}` });
  }
  for (let i = 0; i < 3000; i += 1) {
    recorder.event(machine(`m${i}`), failed);
  }
  const text = await registry.metrics();
  expect(text).toContain('event_recorder_dropped_total{reason="rate_limited"} 75');
  expect(text).toMatch(/event_recorder_dropped_total\{reason="queue_full"\} 20\d\d/);
});

test('a long message is cut at a whole character', async () => {
  recorder.event(machine('a'), { ...failed, message: 'ä'.repeat(2000) });
  await vi.waitFor(() => expect(api.list(events)).toHaveLength(1), PATIENCE);
  const note = api.list(events)[0]?.note ?? '';
  expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
  expect(note).toMatch(/^ä{500,}…$/);
});
