import { expect, test } from 'vitest';
import type { Lease } from '../kube/builtin.ts';
import { ReplicaLiveness } from './replica-liveness.ts';

const lease = (renewTime: string, name = 'floe-hub-floe-0'): Lease => ({
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  metadata: { name, namespace: 'floe-system' },
  spec: { holderIdentity: 'floe-0', leaseDurationSeconds: 30, renewTime },
});

test('a Lease that is renewed is alive, whatever its clock says', () => {
  const liveness = new ReplicaLiveness();
  for (let at = 0; at < 500; at += 10) {
    liveness.saw(lease(`1970-01-01T00:00:${at}`), at);
    expect(liveness.goneIn('floe-0', at + 9)).toBeUndefined();
  }
});

test('one that is not renewed any more: 30 s it is good, 90 s its machines may reconnect', () => {
  const liveness = new ReplicaLiveness();
  liveness.saw(lease('t1'), 0);
  liveness.saw(lease('t1'), 25);
  expect([29, 30, 60, 119, 120, 500].map((at) => liveness.goneIn('floe-0', at))).toEqual([undefined, 90, 60, 1, 0, 0]);
  liveness.saw(lease('t2'), 600);
  expect(liveness.goneIn('floe-0', 601)).toBeUndefined();
  expect(liveness.leftBehind(600, 3600)).toEqual([]);
  expect(liveness.leftBehind(4300, 3600)).toEqual(['floe-0']);
});

test('one that was deleted or never seen: 90 s from then on', () => {
  const liveness = new ReplicaLiveness();
  liveness.saw(lease('t1'), 0);
  liveness.lost(lease('t1'), 5);
  expect([5, 94, 95].map((at) => liveness.goneIn('floe-0', at))).toEqual([90, 1, 0]);
  expect([100, 189, 190].map((at) => liveness.goneIn('floe-9', at))).toEqual([90, 1, 0]);
  liveness.keep(new Set(['floe-9']));
  expect(liveness.goneIn('floe-9', 200)).toBe(0);
  expect(liveness.goneIn('floe-0', 200)).toBe(90);
});

test('other Leases are none of its business', () => {
  const liveness = new ReplicaLiveness();
  liveness.saw(lease('t1', 'floe-operator'), 0);
  expect(liveness.leftBehind(10_000, 0)).toEqual([]);
});
