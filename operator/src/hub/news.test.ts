import type { NixMachine } from '@floe/crds/nix-machine';
import type { MachineState } from '@floe/crds/protocol';
import type { ControllerRevision } from '@floe/crds/revision-record';
import { describe, expect, test } from 'vitest';
import { attempt, closure, desired, machine, NEW, OFFLINE, OLD, running } from '../conditions/machine.fixture.ts';
import { statusPatch } from '../conditions/patch.ts';
import { machineState } from './agent.fixture.ts';
import { mergeNews, type News, patienceFor, writeOf } from './news.ts';

const NOW = new Date('2026-03-01T10:00:00Z');
const AT = new Date('2026-03-01T09:59:50Z');
const record = (
  revision: number,
  id: string,
  machines: Record<string, string>,
  common?: string,
): ControllerRevision => ({
  apiVersion: 'apps/v1',
  kind: 'ControllerRevision',
  metadata: { name: `web-${id}`, namespace: 'shop' },
  revision,
  data: {
    config: 'web',
    revision: id,
    source: 's',
    builtAt: 't',
    part: 0,
    parts: 1,
    job: 'j',
    machines,
    failures: {},
    ...(common === undefined ? {} : { default: common }),
    summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
  },
});
const RECORDS = [
  record(10, 'older0000000', { 'web-01': OLD }),
  record(20, 'newer0000000', { 'web-01': OLD }),
  record(30, 'other0000000', { 'web-01': closure('elsewhere') }, OLD),
  record(5, 'common000000', {}, closure('common')),
];
const write = (m: NixMachine, news: News, replica = 'floe-0') =>
  writeOf(m, news, { now: NOW, replica, records: () => RECORDS });
const online: News = { connection: { online: true, replica: 'floe-1', at: AT }, agent: { version: '0.1.0' } };
const offline: News = { connection: { online: false, replica: 'floe-0', at: AT } };

describe('what is written', () => {
  test('a machine that connects for the first time', () => {
    const status = write(machine(), { ...online, state: machineState() })?.next.status;
    expect(status?.connection).toEqual({
      online: true,
      since: '2026-03-01T09:59:50Z',
      replica: 'floe-1',
      lastSeen: '2026-03-01T10:00:00Z',
    });
    expect(status?.current).toEqual({ closure: OLD, revision: 'newer0000000' });
    expect(status?.agent).toEqual({ version: '0.1.0' });
    expect(status).not.toHaveProperty('failedUnits');
  });

  test('since when a closure runs is when the hub heard that it changed, whatever comes after', () => {
    const runsNew = machineState({ current: { closure: NEW } });
    const changed = write(machine(running()), { state: runsNew })?.next;
    expect(changed?.status?.current).toMatchObject({ closure: NEW, since: '2026-03-01T10:00:00Z' });
    const later = (news: News) =>
      writeOf(changed as NixMachine, news, {
        now: new Date('2026-03-01T11:00:00Z'),
        replica: 'floe-0',
        records: () => RECORDS,
      })?.next.status?.current;
    expect(later({ ...online, state: { ...runsNew, failedUnits: ['a.service'] } })?.since).toBe('2026-03-01T10:00:00Z');
    // The word of the machine does not count, and of one that is heard of first nobody knows.
    const forged = { closure: NEW, since: '2020-01-01T00:00:00Z' };
    expect(later({ state: machineState({ current: forged, failedUnits: ['b'] }) })?.since).toBe('2026-03-01T10:00:00Z');
    expect(write(machine(), { state: machineState({ current: forged }) })?.next.status?.current).not.toHaveProperty(
      'since',
    );
    expect(later({ state: machineState() })).toMatchObject({ closure: OLD, since: '2026-03-01T11:00:00Z' });
  });

  test('of sequences only what is out of the ordinary, and a refusal of the order that stands', () => {
    const told = machine({ desired: desired() });
    const said = (state: Partial<MachineState>) =>
      write(told, { ...online, state: { ...machineState(), ...state } })?.next.status?.agent;
    const { sequence, id } = desired();
    const refused = { id, message: 'its sequence is lower' };
    expect(said({ sequence })).toEqual({ version: '0.1.0' });
    expect(said({ sequence: sequence + 5 })).toEqual({ version: '0.1.0', accepted: sequence + 5 });
    expect(said({ sequence, refused })).toMatchObject({ refused: { desiredId: id, message: refused.message } });
    expect(said({ sequence, refused: { ...refused, id: 'another' } })).toEqual({ version: '0.1.0' });
  });

  test('drift, a hold and what the next boot does, and their end', () => {
    const drift = {
      cause: 'LocalRebuild',
      since: '2026-03-01T09:58:00Z',
      expected: OLD,
      found: NEW,
      state: 'Reported',
    };
    const held = { closure: NEW, since: '2026-03-01T09:58:00Z', by: 'ada' };
    const reboot = { required: false, reasons: [], undoes: true, fallback: false };
    const first = write(machine(), { ...online, state: { ...machineState(), drift, held, reboot } });
    expect(first?.next.status).toMatchObject({
      drift,
      held,
      reboot: { required: false, undoes: true, fallback: false },
    });
    expect(first?.next.status?.conditions?.find(({ type }) => type === 'Drifted')?.reason).toBe('LocalRebuild');
    const then = first && write(first.next, { state: machineState() }, 'floe-1');
    expect(then?.next.status).not.toHaveProperty('drift');
    expect(then?.next.status).not.toHaveProperty('held');
    expect(then?.patch.status).toMatchObject({ drift: null, held: null });
  });

  test('the same again is no write, hours later', () => {
    const first = write(machine(), { ...online, state: machineState() });
    if (first === undefined) throw new Error('nothing to write');
    const news = {
      connection: { online: true, replica: 'floe-1', at: NOW },
      agent: { version: '0.1.0' },
      state: machineState(),
    };
    expect(
      writeOf(first.next, news, { now: new Date('2026-03-01T22:00:00Z'), replica: 'floe-1', records: () => RECORDS }),
    ).toBeUndefined();
  });

  test('another replica is one write and keeps since when it is online', () => {
    const status = write(machine(running()), online)?.next.status;
    expect(status?.connection).toMatchObject({ online: true, since: '2026-03-01T09:00:00Z', replica: 'floe-1' });
  });

  test.each<[string, NixMachine, object | undefined]>([
    ['of this replica', machine(running()), { online: false, since: '2026-03-01T09:59:50Z' }],
    [
      'of another replica',
      machine(running({ connection: { online: true, since: 't', replica: 'floe-9' } })),
      undefined,
    ],
    ['that is off already', machine(running({ connection: OFFLINE })), undefined],
    ['never connected', machine(), undefined],
  ])('offline: a machine %s', (_name, m, wanted) => {
    const settled = statusPatch(m, {}, NOW)?.next ?? m;
    expect(write(settled, offline)?.next.status?.connection).toEqual(wanted);
  });

  test('a machine that is reached by SSH has no agent any more', () => {
    const agent = { version: '0.1.0', running: '/nix/store/agent' };
    const seen = write(machine(running({ agent })), { agent: 'none', state: machineState() })?.next.status;
    expect(seen).not.toHaveProperty('agent');
    expect(seen?.conditions?.find(({ type }) => type === 'AgentOutdated')?.status).toBe('Unknown');
  });

  test('why it is not reached: also of a machine that never was, kept while it is off, gone once it is reached', () => {
    const fault = { reason: 'WrongKey', message: 'another key' };
    const refused: News = { connection: { online: false, replica: 'floe-0', at: AT, fault } };
    const first = write(machine(), refused)?.next;
    expect(first?.status?.connection).toEqual({ online: false, since: '2026-03-01T09:59:50Z', fault });
    expect(first?.status?.conditions?.find(({ type }) => type === 'Online')).toMatchObject(fault);
    if (first === undefined) return;
    expect(write(first, refused), 'the same again is no write').toBeUndefined();
    const login = { reason: 'LoginRefused', message: 'no key of ours' };
    const { connection } = refused;
    const second = connection && write(first, { connection: { ...connection, fault: login } });
    expect(second?.next.status?.connection).toEqual({ online: false, since: '2026-03-01T09:59:50Z', fault: login });
    const reached = second && write(second.next, online);
    expect(reached?.next.status?.connection).not.toHaveProperty('fault');
    expect(reached?.patch.status).toMatchObject({ connection: { fault: null } });
    const lost = write(machine(running()), refused)?.next.status;
    expect(lost?.connection).toMatchObject({ online: false, fault });
  });

  test.each([
    [
      'the first time since its attempt',
      {},
      attempt('Committed'),
      { desiredId: attempt('Committed').desiredId, count: 1 },
    ],
    [
      'once more',
      { comebacks: { desiredId: attempt('Committed').desiredId, count: 2 } },
      attempt('Committed'),
      { desiredId: attempt('Committed').desiredId, count: 3 },
    ],
    [
      'the first time since another attempt',
      { comebacks: { desiredId: 'other', count: 7 } },
      attempt('Committed'),
      { desiredId: attempt('Committed').desiredId, count: 1 },
    ],
    ['in the midst of an attempt', {}, attempt('Testing'), undefined],
    ['without any attempt', {}, undefined, undefined],
  ])('a machine that comes back %s', (_name, more, tried, comebacks) => {
    const status = { connection: { ...OFFLINE, ...more }, ...(tried === undefined ? {} : { attempt: tried }) };
    const next = write(machine(running(status)), online)?.next;
    expect(next?.status?.connection?.comebacks).toEqual(comebacks);
    if (next === undefined || comebacks === undefined) return;
    const gone = write(next, { connection: { online: false, replica: 'floe-1', at: NOW } });
    expect(gone?.next.status?.connection?.comebacks).toEqual(comebacks);
  });

  test('a report replaces what the one before said', () => {
    const before = machine(
      running({ failedUnits: ['a.service'], facts: { kernel: '6.1' }, attempt: attempt('Failed') }),
    );
    const status = write(before, { state: machineState() })?.next.status;
    expect(status).not.toHaveProperty('failedUnits');
    expect(status).not.toHaveProperty('facts');
    expect(status).not.toHaveProperty('attempt');
  });
});

describe('the revision of a closure', () => {
  test.each<[string, NixMachine, string, string | undefined]>([
    ['is that of the order', machine({ desired: desired() }), NEW, '3f9c2ab41c07'],
    [
      'stays what the status said',
      machine({ current: { closure: OLD, revision: 'kept00000000' } }),
      OLD,
      'kept00000000',
    ],
    ['is that of the newest record of the machine', machine(), OLD, 'newer0000000'],
    ['is that of a shared closure', machine(), closure('common'), 'common000000'],
    ['is not that of a default that is not its own', machine(), closure('nobody'), undefined],
  ])('%s', (_name, m, running_, wanted) => {
    const status = write(m, { state: machineState({ current: { closure: running_ } }) })?.next.status;
    expect(status?.current?.revision).toBe(wanted);
  });

  test('is that of the attempt, for what an earlier order brought', () => {
    const state = machineState({
      current: { closure: NEW },
      attempt: attempt('Committed', { desiredId: 'old', revision: 'tried0000000' }),
    });
    expect(write(machine(), { state })?.next.status?.current?.revision).toBe('tried0000000');
  });
});

describe('closures known to be bad', () => {
  const ended = (phase: string, to = NEW) => ({ state: machineState({ attempt: attempt(phase, { to }) }) });
  test.each<[string, string, string[] | undefined]>([
    ['rolled back', 'RolledBack', [NEW]],
    ['failed', 'Failed', [NEW]],
    ['unconfirmed', 'Unconfirmed', undefined],
    ['committed', 'Committed', undefined],
  ])('%s', (_name, phase, wanted) => {
    expect(write(machine(running()), ended(phase))?.next.status?.knownBad).toEqual(wanted);
  });

  test('newest first, ten at most, none twice', () => {
    const old = Array.from({ length: 10 }, (_, index) => closure(`bad${index}`));
    const m = machine(running({ knownBad: old }));
    expect(write(m, ended('Failed'))?.next.status?.knownBad).toEqual([NEW, ...old.slice(0, 9)]);
    expect(write(m, ended('Failed', closure('bad3')))?.next.status?.knownBad).toEqual(old);
  });

  test('an attempt that is reported again does not bring back what a retry has cleared', () => {
    const m = machine(running({ attempt: attempt('RolledBack'), desired: desired({ id: 'retry' }) }));
    expect(write(m, { ...ended('RolledBack'), ...online })?.next.status).not.toHaveProperty('knownBad');
  });
});

const at = (phase: string) => ({ state: machineState({ attempt: attempt(phase) }) });
test.each<[string, NixMachine, News, string]>([
  ['a phase on the way', machine(running()), at('Testing'), 'long'],
  ['the same phase, with something else', machine(running({ attempt: attempt('Testing') })), at('Testing'), 'short'],
  ['fetched ahead', machine(running({ desired: desired({ go: false }) })), at('Fetched'), 'none'],
  ['fetched on its way', machine(running({ desired: desired() })), at('Fetched'), 'long'],
  ['the end', machine(running({ attempt: attempt('Testing') })), at('Committed'), 'none'],
  ['the end, again', machine(running({ attempt: attempt('Committed') })), at('Committed'), 'short'],
  ['no attempt', machine(), { state: machineState() }, 'short'],
  ['connected', machine(), online, 'short'],
  ['gone', machine(), offline, 'none'],
])('patience: %s', (_name, m, news, wanted) => {
  expect(patienceFor(m, news)).toBe(wanted);
});

test('newer news win part by part', () => {
  const state = machineState();
  expect(mergeNews(mergeNews(undefined, { ...online, state: machineState({ sequence: 9 }) }), { state })).toEqual({
    ...online,
    state,
  });
});

test('a report that the API server refuses is said at the connection until one is stored', () => {
  const online = machine(running());
  const context = { now: new Date('2026-03-01T10:00:00Z'), replica: 'floe-0', records: () => [] };
  const said = writeOf(online, { unstored: 'month 99' }, context);
  expect(said?.next.status?.connection).toMatchObject({ online: true, fault: { reason: 'ReportRefused' } });
  expect(said?.next.status?.conditions?.find(({ type }) => type === 'Online')).toMatchObject({
    status: 'True',
    reason: 'ReportRefused',
    message: expect.stringContaining('month 99'),
  });
  const next = said?.next ?? online;
  expect(writeOf(next, { state: machineState() }, context)?.next.status?.connection?.fault).toBeUndefined();
});
