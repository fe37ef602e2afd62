import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deriveConditions, MACHINE_CONDITIONS } from './derive.ts';
import { attempt, closure, desired, machine, NEW, OFFLINE, OLD, onNew, running } from './machine.fixture.ts';

const NOW = new Date('2026-03-01T10:00:00Z');

const of = (m: NixMachine, type: string) => {
  const found = deriveConditions(m, NOW).find((c) => c.type === type);
  if (found === undefined) throw new Error(`no condition ${type}`);
  return found;
};
const row = (m: NixMachine) => ({
  ready: of(m, 'Ready').status,
  reconciling: of(m, 'Reconciling').status,
  stalled: of(m, 'Stalled').status,
  message: of(m, 'Ready').message,
});
const wasReady: NonNullable<NixMachineStatus['conditions']> = [
  {
    type: 'Ready',
    status: 'True',
    reason: 'UpToDate',
    message: 'up to date',
    lastTransitionTime: '2026-03-01T07:00:00Z',
  },
];
const back = 'rolled back to 91b4e0d';
const NO_ROOM = 'There is no room for the closure, it is tried again: it needs 64 MiB in /nix, 16 MiB are free there';

describe('Ready, Reconciling, Stalled and the sentence', () => {
  test.each<[string, NixMachine, 'True' | 'False', 'True' | 'False', 'True' | 'False', string]>([
    ['new', machine(), 'False', 'True', 'False', 'never connected: start floe-agent on it'],
    ['connected, no order', machine(running()), 'False', 'True', 'False', 'runs 91b4e0d, waits for its first revision'],
    [
      'no Rollout',
      machine(running({ waiting: { reason: 'NoRollout', message: 'no Rollout selects it: label it', since: 't' } })),
      'False',
      'True',
      'False',
      'no Rollout selects it: label it',
    ],
    [
      'refuses its order',
      machine(
        running({
          desired: desired(),
          agent: { version: '1', refused: { desiredId: desired().id, message: 'its sequence 9 is lower than 10' } },
        }),
      ),
      'False',
      'False',
      'True',
      'refuses its order: its sequence 9 is lower than 10',
    ],
    [
      'spec is wrong',
      machine(
        running({
          ...onNew,
          desired: desired(),
          waiting: { reason: 'InvalidSpec', message: 'spec.x: no', since: 't' },
        }),
      ),
      'False',
      'False',
      'True',
      'spec.x: no',
    ],
    ['told', machine(running({ desired: desired() })), 'False', 'True', 'False', 'told, about to begin'],
    [
      'testing',
      machine(running({ desired: desired(), attempt: attempt('Testing'), ...onNew })),
      'False',
      'True',
      'False',
      'testing',
    ],
    [
      'done',
      machine(running({ desired: desired(), attempt: attempt('Committed'), ...onNew })),
      'True',
      'False',
      'False',
      'up to date',
    ],
    ['runs it already', machine(running({ desired: desired(), ...onNew })), 'True', 'False', 'False', 'up to date'],
    [
      'runs it, boots another',
      machine(running({ desired: desired(), current: onNew.current })),
      'False',
      'True',
      'False',
      'told, about to begin',
    ],
    [
      'done, off',
      machine(running({ desired: desired(), attempt: attempt('Committed'), ...onNew, connection: OFFLINE })),
      'True',
      'False',
      'False',
      'offline, follows on return',
    ],
    [
      'told while off, was ready',
      machine(running({ desired: desired(), connection: OFFLINE, conditions: wasReady })),
      'True',
      'False',
      'False',
      'offline, follows on return',
    ],
    [
      'told while off, never ready',
      machine(running({ desired: desired(), connection: OFFLINE })),
      'False',
      'False',
      'False',
      'offline, follows on return',
    ],
    [
      'lost in the middle',
      machine(running({ desired: desired(), attempt: attempt('Testing'), connection: OFFLINE })),
      'False',
      'True',
      'False',
      'offline while testing',
    ],
    [
      'fetch only, was ready',
      machine(running({ desired: desired({ go: false }), attempt: attempt('Fetched'), conditions: wasReady })),
      'True',
      'False',
      'False',
      'fetched 3f9c2ab, waits for its go',
    ],
    [
      'fetch only, first order',
      machine(running({ desired: desired({ go: false }), attempt: attempt('Fetching') })),
      'False',
      'False',
      'False',
      'fetching 3f9c2ab ahead of its go',
    ],
    [
      'what keeps it from fetching, ahead of its go',
      machine(running({ desired: desired({ go: false }), attempt: attempt('Fetching', { message: `${NO_ROOM}.` }) })),
      'False',
      'False',
      'False',
      `fetching 3f9c2ab ahead of its go: ${NO_ROOM}`,
    ],
    [
      'what keeps it from fetching, closures by their revision',
      machine(running({ desired: desired(), attempt: attempt('Fetching', { message: `${NO_ROOM}; ${NEW} waits.` }) })),
      'False',
      'True',
      'False',
      `fetching: ${NO_ROOM}; 3f9c2ab waits`,
    ],
    [
      'rolled back, in the words of the agent',
      machine(
        running({
          desired: desired(),
          attempt: attempt('RolledBack', { message: 'hello.service failed (exit 1)', failedUnits: ['hello.service'] }),
        }),
      ),
      'False',
      'False',
      'True',
      `hello.service failed (exit 1), ${back}; See: journalctl -u hello.service on web-01`,
    ],
    [
      'rolled back, as an agent says it',
      machine(
        running({
          desired: desired(),
          attempt: attempt('RolledBack', {
            message: `hello.service failed (exit code 1). The machine is back on ${OLD}. There cron.service failed too.`,
            failedUnits: ['hello.service'],
          }),
        }),
      ),
      'False',
      'False',
      'True',
      `hello.service failed (exit code 1), ${back}. There cron.service failed too; See: journalctl -u hello.service on web-01`,
    ],
    [
      'failed before it began, as an agent says it',
      machine(
        running({
          desired: desired(),
          attempt: attempt('Failed', { message: `No key signed ${NEW} or ${closure('x')}. Nothing was changed.` }),
        }),
      ),
      'False',
      'False',
      'True',
      'No key signed 3f9c2ab or nixos-system-x (0123456). Nothing was changed',
    ],
    [
      'rolled back, without words',
      machine(
        running({ desired: desired(), attempt: attempt('RolledBack', { failedUnits: ['b.service', 'a.service'] }) }),
      ),
      'False',
      'False',
      'True',
      `a.service, b.service failed, ${back}; See: journalctl -u a.service on web-01`,
    ],
    [
      'unconfirmed',
      machine(running({ desired: desired(), attempt: attempt('Unconfirmed') })),
      'False',
      'False',
      'True',
      `Floe was not reached over a new connection in time, ${back}`,
    ],
    [
      'failed before the switch',
      machine(
        running({ desired: desired(), attempt: attempt('Failed', { message: 'no trusted key signed /nix/store/x' }) }),
      ),
      'False',
      'False',
      'True',
      'no trusted key signed /nix/store/x; it runs 91b4e0d',
    ],
    [
      'failed with an exit code, runs what Floe does not know',
      machine(
        running({
          desired: desired(),
          current: { closure: closure('own') },
          attempt: attempt('Failed', { exitCode: 2 }),
        }),
      ),
      'False',
      'False',
      'True',
      'switch-to-configuration failed (exit 2); it runs nixos-system-own (0123456)',
    ],
    [
      'failed, then fixed by hand',
      machine(running({ desired: desired(), attempt: attempt('RolledBack'), ...onNew })),
      'True',
      'False',
      'False',
      'up to date',
    ],
    [
      'failed an order before',
      machine(running({ desired: desired(), attempt: attempt('RolledBack', { desiredId: 'other' }) })),
      'False',
      'True',
      'False',
      'told, about to begin',
    ],
    [
      'someone switched it',
      machine(running({ desired: desired(), attempt: attempt('Committed') })),
      'False',
      'False',
      'True',
      'runs 91b4e0d, but was told 3f9c2ab: someone or something else switched it',
    ],
    [
      'restarted after mode test',
      machine(
        running({
          desired: desired(),
          attempt: attempt('Committed'),
          booted: { closure: OLD, revision: '91b4e0d5523f' },
        }),
        { activation: { mode: 'test' } },
      ),
      'False',
      'False',
      'True',
      'was restarted, which ended mode test of 3f9c2ab: runs 91b4e0d again; set spec.activation.mode to switch to keep a revision',
    ],
    [
      'a unit failed later',
      machine(running({ desired: desired(), attempt: attempt('Committed'), ...onNew, failedUnits: ['nginx.service'] })),
      'False',
      'False',
      'False',
      'nginx.service failed; See: journalctl -u nginx.service on web-01',
    ],
    [
      'reboot due',
      machine(
        running({
          desired: desired(),
          attempt: attempt('Committed'),
          ...onNew,
          reboot: { required: true, reasons: ['kernel'] },
        }),
      ),
      'True',
      'False',
      'False',
      'reboot required: kernel',
    ],
    [
      'at its next boot',
      machine(
        running({
          desired: desired(),
          attempt: attempt('RebootRequired'),
          bootDefault: onNew.bootDefault,
          reboot: { required: true, reasons: ['kernel', 'initrd'] },
        }),
      ),
      'True',
      'False',
      'False',
      'reboot required: initrd, kernel',
    ],
    [
      'on hold',
      machine(running({ desired: desired(), ...onNew }), {
        hold: { reason: 'disk swap', until: '2026-03-01T12:00:00Z' },
      }),
      'True',
      'False',
      'False',
      'on hold until 2026-03-01T12:00:00Z: disk swap',
    ],
    [
      'hold is over',
      machine(running({ desired: desired(), ...onNew }), {
        hold: { reason: 'disk swap', until: '2026-03-01T10:00:00Z' },
      }),
      'True',
      'False',
      'False',
      'up to date',
    ],
  ])('%s', (_name, m, ready, reconciling, stalled, message) => {
    expect(row(m)).toEqual({ ready, reconciling, stalled, message });
  });
});

describe('the other conditions', () => {
  test.each<[string, NixMachine, Record<string, string>]>([
    [
      'never heard of',
      machine(),
      { Online: 'False', UpToDate: 'Unknown', Healthy: 'Unknown', RebootRequired: 'Unknown' },
    ],
    [
      'off',
      machine(running({ ...onNew, desired: desired(), connection: OFFLINE })),
      { Online: 'False', UpToDate: 'True', Healthy: 'True' },
    ],
    ['told', machine(running({ desired: desired() })), { Online: 'True', UpToDate: 'False', RebootRequired: 'False' }],
    ['sick', machine(running({ failedUnits: ['a.service'] })), { Healthy: 'False' }],
  ])('%s', (_name, m, wanted) => {
    expect(Object.fromEntries(Object.keys(wanted).map((type) => [type, of(m, type).status]))).toEqual(wanted);
  });
});

test('lastTransitionTime moves with the status alone', () => {
  const before = machine(running({ desired: desired(), ...onNew }));
  const first = deriveConditions(before, NOW);
  const later = new Date('2026-03-01T11:00:00Z');
  const off = deriveConditions(
    { ...before, status: { ...before.status, connection: OFFLINE, conditions: first } },
    later,
  );
  const at = (type: string) => off.find((c) => c.type === type);
  expect(at('Ready')).toMatchObject({
    status: 'True',
    message: 'offline, follows on return',
    lastTransitionTime: '2026-03-01T10:00:00Z',
  });
  expect(at('Online')).toMatchObject({ status: 'False', lastTransitionTime: '2026-03-01T11:00:00Z' });
});

test('why a machine is not reached by SSH is what its column says', () => {
  const target = { ssh: { host: 'web-01', secretRef: { name: 'floe-ssh' } } };
  expect(of(machine(undefined, { target }), 'Ready').message).toBe('not reached by SSH yet');
  const fault = { reason: 'WrongKey', message: 'web-01:22 shows another SSH host key' };
  const off = machine(running({ connection: { ...OFFLINE, fault }, desired: desired(), ...onNew }), { target });
  expect(of(off, 'Online')).toMatchObject({ status: 'False', ...fault });
  expect(of(off, 'Ready').message).toBe(fault.message);
});

test('conditions of others stay', () => {
  const other = {
    type: 'Drained',
    status: 'True',
    reason: 'R',
    message: 'm',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  } as const;
  expect(deriveConditions(machine({ conditions: [other] }), NOW).at(-1)).toEqual(other);
});

const units = fc.uniqueArray(fc.constantFrom('a.service', 'b.service', 'c.service', 'd.service', 'e.service'));
const phase = fc.constantFrom(
  'Waiting',
  'Fetching',
  'Fetched',
  'Testing',
  'Confirming',
  'Committing',
  'RebootRequired',
  'Rebooting',
  'RollingBack',
  'Committed',
  'RolledBack',
  'Unconfirmed',
  'Failed',
  'Cancelled',
  'Some:New Phase',
);
const path = fc.constantFrom(OLD, NEW);
const anyStatus: fc.Arbitrary<NixMachineStatus> = fc.record(
  {
    connection: fc.record({ online: fc.boolean(), since: fc.constant('2026-03-01T09:00:00Z') }),
    current: fc.record({ closure: path }),
    bootDefault: fc.record({ closure: path }),
    desired: fc.record({ go: fc.boolean(), closure: path }).map((over) => desired(over)),
    attempt: fc
      .record({ phase, failedUnits: units, desiredId: fc.constantFrom('00000000000000aa', 'x') })
      .map((over) => attempt(over.phase, over)),
    failedUnits: units,
    reboot: fc.record({ required: fc.boolean(), reasons: fc.subarray(['kernel', 'initrd', 'kernel-modules']) }),
    waiting: fc
      .constantFrom('NoConfig', 'NotBuilt', 'NoRollout', 'OnHold', 'NoIdentity', 'DuplicateKey', 'InvalidSpec')
      .map((reason) => ({ reason, message: `${reason} says why`, since: '2026-03-01T09:00:00Z' })),
    observedGeneration: fc.nat(),
  },
  { requiredKeys: [] },
);
const later = fc.date({
  min: new Date('2026-03-01T11:00:00Z'),
  max: new Date('2027-01-01T00:00:00Z'),
  noInvalidDate: true,
});

describe('properties', () => {
  test('deriving again changes nothing, whatever the time', () => {
    fc.assert(
      fc.property(anyStatus, anyStatus, later, (earlier, status, then) => {
        const old = deriveConditions(machine(earlier), NOW);
        const once = deriveConditions(machine({ ...status, conditions: old }), NOW);
        expect(deriveConditions(machine({ ...status, conditions: once }), then)).toEqual(once);
      }),
    );
  });

  test('the order of lists does not matter', () => {
    const shuffled = anyStatus.chain((status) =>
      fc.record({
        one: fc.constant(status),
        units: fc.shuffledSubarray(status.failedUnits ?? [], { minLength: status.failedUnits?.length ?? 0 }),
        conditions: fc.shuffledSubarray(deriveConditions(machine(status), NOW), {
          minLength: MACHINE_CONDITIONS.length,
        }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ one, units: failedUnits, conditions }) => {
        const sorted = deriveConditions(machine({ ...one, conditions: deriveConditions(machine(one), NOW) }), NOW);
        const other = { ...one, conditions, ...(one.failedUnits === undefined ? {} : { failedUnits }) };
        expect(deriveConditions(machine(other), NOW)).toEqual(sorted);
      }),
    );
  });

  test('never ready and stalled, or stalled and reconciling; every reason and message is accepted by the API', () => {
    fc.assert(
      fc.property(anyStatus, (status) => {
        const conditions = deriveConditions(machine(status), NOW);
        const is = (type: string) => conditions.find((c) => c.type === type)?.status === 'True';
        expect(is('Ready') && is('Stalled')).toBe(false);
        expect(is('Ready') && is('Reconciling')).toBe(false);
        expect(is('Stalled') && is('Reconciling')).toBe(false);
        for (const c of conditions) {
          expect(c.reason).toMatch(/^[A-Za-z][A-Za-z0-9]{0,127}$/);
          expect(c.message.length).toBeGreaterThan(0);
          expect(c.message.length).toBeLessThanOrEqual(2048);
        }
        expect(conditions.map((c) => c.type)).toEqual([...MACHINE_CONDITIONS]);
      }),
    );
  });
});
