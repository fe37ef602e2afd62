// The measuring of the API server's rate, against an API server in memory.
import type { NixMachine } from '@floe/crds/nix-machine';
import { nixMachines } from '@floe/operator/kube/resource';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApiServer } from '../fake-apiserver/fake-api-server.ts';
import { closureOf, machineNames, machineObject, NAMESPACE } from './objects.ts';
import { measurePatchRate } from './patch-rate.ts';

let api: FakeApiServer;

beforeEach(async () => {
  api = await FakeApiServer.start();
});

afterEach(() => api.close());

function seed(name: string): NixMachine {
  const closure = closureOf('r', name);
  const order = { id: 'a', sequence: 1, revision: 'r', reason: 'Rollout', go: true, since: '2026-01-01T00:00:00.000Z' };
  api.seed(nixMachines, { ...machineObject(name, 'key'), status: { desired: { ...order, closure } } });
  return api.get(nixMachines, `${NAMESPACE}/${name}`) as NixMachine;
}

function measure(machines: readonly NixMachine[]) {
  const resourceVersion = machines.at(-1)?.metadata.resourceVersion ?? '';
  const signal = new AbortController().signal;
  const times = { warmSeconds: 0.05, seconds: 0.3 };
  return measurePatchRate({ client: api.client(), namespace: NAMESPACE, machines, resourceVersion, signal, ...times });
}

test.each([1, 10, 64])('%i machines: no write loses a race, one watch sees them', async (count) => {
  const machines = machineNames(count).map(seed);
  const { perSecond, writes, events } = await measure(machines);
  expect(perSecond).toBeGreaterThan(0);
  expect(events).toBe(writes);
  expect(api.requests.filter(({ verb }) => verb === 'PATCH')).toHaveLength(writes);
  expect(api.requests.filter(({ verb }) => verb === 'WATCH')).toHaveLength(1);
});

test('a watch that ends is opened again where it ended', async () => {
  const machines = machineNames(4).map(seed);
  const end = setTimeout(() => api.watches.end(), 100);
  const { writes, events } = await measure(machines);
  clearTimeout(end);
  expect(events).toBe(writes);
  expect(api.requests.filter(({ verb }) => verb === 'WATCH').length).toBeGreaterThan(1);
});

test('a refused write is the result', async () => {
  api.faults.inject({ verb: 'PATCH' }, { kind: 'status', status: 422 }, 1);
  await expect(measure(machineNames(2).map(seed))).rejects.toMatchObject({ status: 422 });
});

test('a machine without an order is refused in words', async () => {
  api.seed(nixMachines, machineObject('m1', 'key'));
  const machine = api.get(nixMachines, `${NAMESPACE}/m1`) as NixMachine;
  await expect(measure([machine])).rejects.toThrow('m1 has no order yet');
});
