// The holes that deploy-rs left, each as a test of the same name; the issues are those of github.com/serokell/deploy-rs.
import { expect, test } from 'vitest';
import { runOf } from './act.ts';
import { Model, NEW, OLD, orderFor, type Script } from './model.fixture.ts';
import { next } from './next.ts';
import { newAttempt } from './record.ts';

const good: Script = {
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
const anyOrder = orderFor({ mode: 'switch', confirm: 'hub' });
const at = { time: '2026-01-01T00:00:00Z', monotonicMs: 0 };

test('(a) a stale canary of an earlier attempt confirms nothing (214)', async () => {
  // The question carries the attempt's id, and is asked anew in each attempt.
  const model = new Model({ ...good, hub: 'unreachable' });
  model.confirmed = true;
  expect((await model.live()).phase).toBe('Unconfirmed');
});

test('(b) a confirmation that comes before anyone waits for it is not lost: the machine asks', async () => {
  const model = new Model(good);
  expect((await model.live()).phase).toBe('Committed');
  expect(model.trace.indexOf('check health')).toBeLessThan(model.trace.indexOf('confirm'));
});

test('(c) a profile that could not be set is not rolled back one generation too far', async () => {
  const model = new Model(good);
  model.setProfile = async (closure) => {
    if (closure === NEW) return { kind: 'failed', message: 'no space' };
    model.profile = closure;
    return { kind: 'ok' };
  };
  const record = await model.live();
  expect([record.phase, model.profile, model.current, model.bootDefault]).toEqual(['RolledBack', OLD, OLD, OLD]);
});

test('(d) an old closure without an agent hook is activated all the same (86)', () => {
  // The way back runs switch-to-configuration of the old closure, out of the agent that began the attempt.
  const before = {
    system: OLD,
    profile: OLD,
    failedUnits: [],
    bootId: '1',
    program: ['/nix/store/of-the-one-that-began'],
  };
  const order = { ...newAttempt(anyOrder, at.time), before, systemTouched: true, step: 'undo-system' } as const;
  expect(runOf(order)).toMatchObject({ closure: OLD, verb: 'test', skipChecks: true });
});

test('(e) the way back starts again what the first switch broke (68)', async () => {
  const started: string[][] = [];
  const model = Object.assign(new Model({ ...good, healthy: false }), {
    activeUnits: async () => ['sshd.service', 'web.service'],
    startUnits: async (units: readonly string[]) => {
      started.push([...units]);
      return { kind: 'ok' } as const;
    },
  });
  const record = await model.live();
  expect(record.phase).toBe('RolledBack');
  expect(started).toEqual([['sshd.service', 'web.service']]);
  expect(record.before?.activeUnits).toBeUndefined();
});

test('(f) a reboot in the tested path (211)', async () => {
  const model = new Model({ ...good, mode: 'boot', policy: 'WhenRequired', hub: 'unreachable' });
  const record = await model.live();
  expect([record.phase, model.current, model.bootDefault]).toEqual(['Unconfirmed', OLD, OLD]);
  expect(model.trace.filter((one) => one === 'reboot')).toHaveLength(2);
});

test('(g) an address that changes: the agent dials, so only the hub has to be reached', async () => {
  // Nobody dials the machine; each question goes over a new connection, with the configuration as it is then.
  const model = new Model(good);
  expect((await model.live()).phase).toBe('Committed');
  expect(model.trace.filter((one) => one === 'confirm')).toHaveLength(1);
});

test.each([
  { name: 'nothing was changed', change: { test: [{ kind: 'exited', code: 1 }] as const }, undone: false },
  { name: 'it was brought back', change: { healthy: false }, undone: true },
])('(h) rolled back is said only where something was (241): $name', async ({ change, undone }) => {
  expect((await new Model({ ...good, ...change }).live()).undone).toBe(undone);
});

test('(h) a way back that failed is called no roll-back (241)', () => {
  const record = {
    ...newAttempt(anyOrder, at.time),
    step: 'undo-check',
    before: { system: OLD, profile: OLD, failedUnits: [], bootId: '1', program: [] },
    systemTouched: true,
    undone: true,
    rebooted: true,
    ending: { phase: 'RolledBack', message: 'x.' },
  } as const;
  const seen = { current: NEW, profile: OLD, bootId: '1' };
  const ended = next(record, { step: 'undo-check', seen, failedUnits: [], canReboot: true }, at);
  expect([ended.ending?.phase, ended.undone]).toEqual(['Failed', false]);
});
