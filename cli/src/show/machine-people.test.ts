// People and secrets on the page of a machine.
import type { NixMachine, NixMachineSpec, NixMachineStatus } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { people } from './machine-people.ts';

const NOW = new Date('2036-03-01T14:05:00Z');
const desired = {
  id: 'd',
  sequence: 1,
  revision: 'r',
  closure: 'c',
  reason: 'Rollout',
  go: false,
  since: '2036-03-01T13:00:00Z',
};
const machine = (spec: Partial<NixMachineSpec>, status?: NixMachineStatus): NixMachine => ({
  apiVersion: 'floe.dev/v1alpha1',
  kind: 'NixMachine',
  metadata: { name: 'm1', namespace: 'shop' },
  spec: { configRef: { name: 'web' }, ...spec },
  ...(status === undefined ? {} : { status }),
});
const at = '2036-03-01T13:55:00Z';

test.each<[string, NixMachine, string[][]]>([
  ['nothing', machine({}), []],
  ['owners', machine({ owners: ['ada@example.org', 'bob'] }), [['owners', 'ada@example.org, bob']]],
  ['asked', machine({}, { desired, consent: { desiredId: 'd', state: 'Asked', at } }), [['users', 'asked 10m ago']]],
  [
    'approved',
    machine({}, { desired, consent: { desiredId: 'd', state: 'Approved', at } }),
    [['users', 'approved 10m ago']],
  ],
  [
    'put off',
    machine({}, { desired, consent: { desiredId: 'd', state: 'Deferred', until: '2036-03-01T15:55:00Z', at } }),
    [['users', 'put off until 15:55 UTC, 10m ago']],
  ],
  ['an older answer', machine({}, { desired, consent: { desiredId: 'x', state: 'Approved', at } }), []],
  [
    'secrets',
    machine(
      {},
      {
        secrets: {
          generation: 1,
          total: 2,
          delivered: 1,
          changedAt: at,
          failed: [{ name: 'tls', message: 'no user nginx' }],
        },
      },
    ),
    [
      ['secrets', '1 of 2 delivered, changed 10m ago'],
      ['', 'tls: no user nginx'],
    ],
  ],
])('%s', (_, one, rows) => {
  expect(people(one, NOW)).toEqual(rows);
});
