// What an order may ask for: a specialisation, units that may fail, laptops without a network.
import { expect, test } from 'vitest';
import { act, runOf } from './act.ts';
import { Model, NEW, OLD, orderFor, type Script } from './model.fixture.ts';
import { next } from './next.ts';
import type { Confirmation, Outcome } from './outcome.ts';
import type { AttemptPorts } from './ports.ts';
import { type AttemptRecord, type Before, newAttempt, type Order } from './record.ts';
import { resume } from './resume.ts';

const at = { time: '2026-01-01T00:00:00Z', monotonicMs: 0 };
const PARENT_OF_SPECIAL = '/nix/store/33333333333333333333333333333333-special';
const script: Script = {
  mode: 'switch',
  confirm: 'hub',
  fetched: 'fetched',
  test: [{ kind: 'exited', code: 0 }],
  boot: { kind: 'exited', code: 0 },
  healthy: true,
  hub: 'confirmed',
  handsOver: false,
  newAgentStarts: true,
  faults: [],
};

type World = { readonly machine?: Partial<Model>; readonly answer?: Confirmation };

function ports({ machine = {}, answer = { kind: 'confirmed' } }: World): AttemptPorts {
  let time = 0;
  return {
    machine: Object.assign(new Model(script), machine),
    hub: { confirm: async () => answer },
    clock: {
      now: () => ({ ...at, monotonicMs: time }),
      sleep: async (milliseconds) => {
        time += milliseconds;
      },
    },
    awaitGo: async (order) => order,
    awaitReboot: async (order) => order,
    note: () => undefined,
    save: async () => undefined,
  };
}

const record = (change: Partial<Order>, more: Partial<AttemptRecord> = {}): AttemptRecord => ({
  ...newAttempt({ ...orderFor({ mode: 'switch', confirm: 'hub' }), ...change }, at.time),
  before: { system: OLD, profile: OLD, failedUnits: [], bootId: '1', program: ['agent'] },
  ...more,
});
const does = (one: AttemptRecord, world: World = {}): Promise<Outcome> =>
  act(one, ports(world), new AbortController().signal);

test("a specialisation is tested from its path, and profile and boot entry are the parent's", async () => {
  const begun = record({ specialisation: 'quiet' }, { step: 'begin' });
  const outcome = await does(begun, { machine: { specialisation: async () => PARENT_OF_SPECIAL } as never });
  const switching = next(begun, outcome, at);
  expect(switching).toMatchObject({ step: 'arm-switch', target: PARENT_OF_SPECIAL });
  expect(runOf({ ...switching, step: 'switch' })).toMatchObject({
    closure: `${NEW}/specialisation/quiet`,
    verb: 'test',
  });
  expect(runOf({ ...switching, step: 'boot' })).toMatchObject({ closure: NEW, verb: 'boot' });
  const ran: Outcome = {
    step: 'switch',
    run: { kind: 'exited', code: 0 },
    current: PARENT_OF_SPECIAL,
    unfinished: false,
    handOver: false,
  };
  expect(next({ ...switching, step: 'switch', systemTouched: true }, ran, at).step).toBe('arm-health');
});

test('a specialisation that the closure has not: failed, nothing changed', async () => {
  const begun = record({ specialisation: 'quiet' }, { step: 'begin' });
  const ended = next(begun, await does(begun, { machine: { specialisation: async () => undefined } as never }), at);
  expect(ended.ending?.phase).toBe('Failed');
  expect(ended.ending?.message).toBe(`${NEW} has no specialisation quiet. Nothing was changed.`);
});

test.each<{ name: string; change: Partial<Order>; missing: string | undefined; kind: string }>([
  { name: 'an order of the hub', change: {}, missing: 'no agent.', kind: 'refused' },
  { name: 'root at the console', change: { origin: 'local' }, missing: 'no agent.', kind: 'refused' },
  {
    name: 'root, who means it',
    change: { origin: 'local', withoutAgent: true },
    missing: 'no agent.',
    kind: 'fetched',
  },
  { name: 'one with an agent', change: {}, missing: undefined, kind: 'fetched' },
])('a closure without an agent, $name: $kind, before any go', async ({ change, missing, kind }) => {
  const asked: string[] = [];
  const missingAgent = async (system: string) => {
    asked.push(system);
    return missing;
  };
  const given = record(change);
  const outcome = await does(given, { machine: { missingAgent } as never });
  expect(outcome).toMatchObject({ step: 'fetch', result: { kind } });
  const after = next(given, outcome, at);
  expect(after.step).toBe(kind === 'refused' ? 'disarm' : 'await-go');
  if (kind === 'refused') expect(after.ending).toEqual({ phase: 'Failed', message: 'no agent. Nothing was changed.' });
  expect(asked).toEqual(change.withoutAgent === true ? [] : [NEW]);
});

test('nor is a specialisation without one begun', async () => {
  const begun = record({ specialisation: 'bare' }, { step: 'begin' });
  const machine = {
    specialisation: async () => PARENT_OF_SPECIAL,
    missingAgent: async (system: string) => (system.endsWith('/specialisation/bare') ? 'no agent.' : undefined),
  };
  const ended = next(begun, await does(begun, { machine: machine as never }), at);
  expect(ended.ending).toEqual({ phase: 'Failed', message: 'no agent. Nothing was changed.' });
});

const check = (name: string, passed: boolean) => ({ name, passed, at: at.time });

test.each<{ name: string; keep: boolean; checks: ReturnType<typeof check>[]; step: string }>([
  { name: 'a failed unit', keep: false, checks: [check('units', false)], step: 'arm-undo' },
  { name: 'a failed unit that is let pass', keep: true, checks: [check('units', false)], step: 'confirm' },
  {
    name: 'a failed check beside it',
    keep: true,
    checks: [check('units', false), check('web', false)],
    step: 'arm-undo',
  },
])('$name: $step', ({ keep, checks, step }) => {
  const given = record(keep ? { keepDegraded: true } : {}, { step: 'health', systemTouched: true });
  const result = { kind: 'unhealthy', units: ['x.service'], message: 'x.service failed.', checks } as const;
  const after = next(given, { step: 'health', result }, at);
  expect(after.step).toBe(step);
  expect(after.failedUnits).toEqual(['x.service']);
  if (step === 'confirm') expect(after.remarks?.join()).toContain('Kept though units fail: x.service failed.');
});

const silent: Confirmation = { kind: 'unreachable', message: 'no route' };

test.each<{ name: string; whenOnline: boolean; before: boolean; now: boolean; kind: string }>([
  { name: 'WhenOnline, no route before and after', whenOnline: true, before: false, now: false, kind: 'offline' },
  {
    name: 'WhenOnline, but the switch took the route',
    whenOnline: true,
    before: true,
    now: false,
    kind: 'unreachable',
  },
  { name: 'WhenOnline, and there is a route', whenOnline: true, before: false, now: true, kind: 'unreachable' },
  { name: 'Required, no route', whenOnline: false, before: false, now: false, kind: 'unreachable' },
])('$name: $kind', async ({ whenOnline, before, now, kind }) => {
  const given = record(whenOnline ? { whenOnline: true } : {}, { step: 'confirm', systemTouched: true });
  const offline: AttemptRecord = { ...given, before: { ...(given.before as Before), online: before } };
  const outcome = await does(offline, { machine: { online: async () => now } as never, answer: silent });
  expect(outcome).toMatchObject({ step: 'confirm', result: { kind } });
  const after = next(offline, outcome, at);
  expect(after.step).toBe(kind === 'offline' ? 'arm-commit' : 'arm-undo');
  if (kind === 'offline') expect(after.remarks?.join()).toContain('no route to anywhere');
});

test('a fetch that fails for want of any route goes on when there is one', async () => {
  let tries = 0;
  const machine = {
    fetch: async () => (++tries < 3 ? { kind: 'unavailable', message: 'no network.' } : { kind: 'fetched' }),
    online: async () => tries >= 3,
  };
  expect(await does(record({}), { machine: machine as never })).toEqual({ step: 'fetch', result: { kind: 'fetched' } });
});

test('the old closure is kept from the garbage collector before anything is touched', async () => {
  const model: Model = Object.assign(new Model(script), {
    keepWayBack: async (closure: string) => {
      model.trace.push(`keep ${closure}`);
    },
  });
  await model.live();
  const kept = model.trace.indexOf(`keep ${OLD}`);
  expect(kept).toBeGreaterThan(-1);
  expect(kept).toBeLessThan(model.trace.indexOf('arm 1'));
});

test('why it takes a boot rather than a switch is said while it waits, and still after the boot', async () => {
  const begun = record({}, { step: 'begin' });
  const seen = { current: OLD, profile: OLD, bootId: '1' };
  const outcome: Outcome = { step: 'begin', seen, failedUnits: [], program: ['agent'], inhibitors: ['dbus'] };
  let now = next(begun, outcome, at);
  while (now.step !== 'done') now = next(now, await does(now), at);
  const why =
    'A boot brings it rather than a switch, since the running system forbids the switch (switch-inhibitors: dbus).';
  expect(now).toMatchObject({ phase: 'RebootRequired', message: `It starts with the next boot. ${why}` });
  const booted = resume(now, { current: NEW, booted: NEW, profile: NEW, bootId: '2' });
  expect(booted).toMatchObject({ phase: 'Committed', message: `It runs since the machine was restarted. ${why}` });
});
