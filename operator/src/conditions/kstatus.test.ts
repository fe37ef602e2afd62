// What kstatus makes of a NixMachine: in progress while something is in hand, failed where a person is needed, current when it is well.
import { desiredId } from '@floe/crds/desired-id';
import type { NixMachine } from '@floe/crds/nix-machine';
import { expect, test } from 'vitest';
import { deriveConditions } from './derive.ts';
import { type Kstatus, kstatusOf } from './kstatus.fixture.ts';
import { attempt, desired, machine, OFFLINE, onNew, running } from './machine.fixture.ts';

const NOW = new Date('2026-03-01T10:00:00Z');
const done = { desired: desired(), attempt: attempt('Committed'), ...onNew };
const hold = { reason: 'disk swap' };

/** As it reads once its conditions are derived, by who has looked at its spec. */
function seen(of: NixMachine): Kstatus {
  const looked: NixMachine = { ...of, status: { observedGeneration: 1, ...of.status } };
  return kstatusOf({ ...looked, status: { ...looked.status, conditions: deriveConditions(looked, NOW) } });
}

/** As `of`, after it was well before. */
function wasWell(of: NixMachine): NixMachine {
  const conditions = deriveConditions(machine(running(done)), new Date('2026-03-01T09:00:00Z'));
  return { ...of, status: { ...of.status, conditions } };
}

test.each<[string, NixMachine, Kstatus]>([
  ['nobody has looked at it', machine({ observedGeneration: -1 }), 'InProgress'],
  ['it has never connected', machine(), 'InProgress'],
  ['it has no order yet', machine(running()), 'InProgress'],
  ['told', machine(running({ desired: desired() })), 'InProgress'],
  ...['Fetching', 'Testing', 'Confirming', 'Committing', 'Rebooting', 'RollingBack', 'Unheard'].map(
    (phase): [string, NixMachine, Kstatus] => [
      phase,
      machine(running({ desired: desired(), attempt: attempt(phase) })),
      'InProgress',
    ],
  ),
  ...[0, 1, 2].map((retry): [string, NixMachine, Kstatus] => {
    const { id: _, ...order } = desired({ rollout: 'web', run: 'run1' });
    const id = desiredId({ rollout: 'web', run: 'run1', machine: 'web-01', retry, closure: order.closure });
    const of = machine(running({ desired: { id, ...order }, attempt: { ...attempt('Unconfirmed'), desiredId: id } }));
    return [`not confirmed by order ${retry} of 3`, of, retry < 2 ? 'InProgress' : 'Failed'];
  }),
  [
    'something else runs, and is being put back',
    machine(
      running({
        desired: desired(),
        attempt: attempt('Committed'),
        drift: { cause: 'ManualSwitch', state: 'Reverting', since: '2026-03-01T10:00:00Z' },
      }),
    ),
    'InProgress',
  ],
  ['done', machine(running(done)), 'Current'],
  ['done, then edited', { ...machine(running(done)), metadata: { name: 'web-01', generation: 2 } }, 'InProgress'],
  [
    'done, and being deleted',
    { ...machine(running(done)), metadata: { name: 'web-01', deletionTimestamp: 't' } },
    'Terminating',
  ],
  ['done, and off', machine(running({ ...done, connection: OFFLINE })), 'Current'],
  ['done, and on hold', machine(running(done), { hold }), 'Current'],
  ['done, and a unit fails', machine(running({ ...done, failedUnits: ['a.service'] })), 'InProgress'],
  [
    'it has it at its next boot',
    machine(running({ desired: desired(), attempt: attempt('RebootRequired'), bootDefault: onNew.bootDefault })),
    'Current',
  ],
  ['told to fetch only, and well before', wasWell(machine(running({ desired: desired({ go: false }) }))), 'Current'],
  [
    'told while it is off, and well before',
    wasWell(machine(running({ desired: desired(), connection: OFFLINE }))),
    'Current',
  ],
  ...['RolledBack', 'Unconfirmed', 'Failed', 'Cancelled'].map((phase): [string, NixMachine, Kstatus] => [
    phase,
    machine(running({ desired: desired(), attempt: attempt(phase) })),
    'Failed',
  ]),
  [
    'something else runs than what it was told',
    machine(running({ desired: desired(), attempt: attempt('Committed') })),
    'Failed',
  ],
  ...['InvalidSpec', 'DuplicateKey'].map((reason): [string, NixMachine, Kstatus] => [
    reason,
    machine(running({ waiting: { reason, message: 'no', since: 't' } })),
    'Failed',
  ]),
])('%s', (_, of, wanted) => {
  expect(seen(of)).toBe(wanted);
});
