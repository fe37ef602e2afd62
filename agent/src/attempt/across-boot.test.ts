// An attempt across a boot: what it says where the machine comes back on something else, and what it does then.
import { expect, test } from 'vitest';
import { NEW, OLD, orderFor } from './model.fixture.ts';
import { next } from './next.ts';
import type { Seen } from './outcome.ts';
import { type AttemptRecord, newAttempt, type Order } from './record.ts';
import { resume } from './resume.ts';

const OTHER = '/nix/store/22222222222222222222222222222222-other';
const at = { time: '2026-01-01T00:00:00Z', monotonicMs: 0 };
const order: Order = orderFor({ mode: 'switch', confirm: 'hub', policy: 'WhenRequired' });
const before = { system: OLD, profile: OLD, failedUnits: [], bootId: '1', program: ['agent'] };
const seen: Seen = { current: NEW, profile: NEW, bootDefault: { closure: NEW, verified: true }, bootId: '2' };
const restarting: AttemptRecord = {
  ...newAttempt(order, at.time),
  step: 'restart',
  phase: 'Rebooting',
  before,
  rebootOnly: true,
  bootTouched: true,
  staged: true,
};

test('on the new closure: the checks come next', () => {
  expect(resume(restarting, seen)).toMatchObject({ step: 'arm-health', cameUp: true, phase: 'Testing' });
});

test.each([
  { where: OLD, phase: 'RolledBack', says: `came back on the old closure ${OLD}` },
  { where: OTHER, phase: 'Failed', says: `came back on ${OTHER}, which is neither the new closure nor the old one` },
])('on $where: exactly that is said, and the boot entry goes back', ({ where, phase, says }) => {
  const record = resume(restarting, { ...seen, current: where });
  expect(record).toMatchObject({ step: 'arm-undo', systemTouched: false, bootTouched: true });
  expect(record.ending?.phase).toBe(phase);
  expect(record.ending?.message).toContain(says);
});

test('one that only waited for somebody else to restart says so, too', () => {
  const waiting: AttemptRecord = { ...restarting, step: 'done', phase: 'RebootRequired' };
  const record = resume(waiting, { ...seen, current: OLD });
  expect(record.phase).toBe('RebootRequired');
  expect(record.message).toContain(`came back on the old closure ${OLD}`);
  expect(resume(waiting, { ...seen, current: OLD, bootId: '1' })).toBe(waiting);
});

test('not kept after the boot: profile and boot entry go back, then one more reboot, and no other', () => {
  const back = { ...seen, profile: OLD, bootDefault: { closure: OLD, verified: true } };
  const undoing: AttemptRecord = {
    ...restarting,
    step: 'undo-boot',
    cameUp: true,
    systemTouched: true,
    undone: true,
    ending: { phase: 'Unconfirmed', message: 'No hub.' },
  };
  const check = next(undoing, { step: 'undo-boot', run: { kind: 'exited', code: 0 } }, at);
  expect(check.step).toBe('undo-check');
  const outcome = { step: 'undo-check', seen: back, failedUnits: [], canReboot: true } as const;
  const rebooting = next(check, outcome, at);
  expect(rebooting).toMatchObject({ step: 'reboot', rebooted: true });
  // It came up on the new closure again: no second reboot, the live way back is what is left.
  const again = resume(rebooting, { ...back, bootId: '3' });
  const live = next({ ...again, step: 'undo-boot' }, { step: 'undo-boot', run: { kind: 'exited', code: 0 } }, at);
  expect(live.step).toBe('undo-system');
  const last = next({ ...live, step: 'undo-check' }, outcome, at);
  expect(last.ending?.phase).toBe('Failed');
  expect(last.undone).toBe(false);
});

test.each([
  { name: 'leave to restart', given: order, step: 'restart', phase: undefined },
  { name: 'another order', given: undefined, step: 'arm-undo', phase: 'Cancelled' },
])('while it waits it gets $name: $step', ({ given, step, phase }) => {
  const waiting: AttemptRecord = { ...restarting, step: 'await-reboot', phase: 'RebootRequired' };
  const record = next(waiting, { step: 'await-reboot', order: given }, at);
  expect([record.step, record.ending?.phase]).toEqual([step, phase]);
});

test('where nobody may restart the machine, it waits for whoever does', () => {
  const record = next({ ...restarting, step: 'stand-down' }, { step: 'stand-down', canReboot: false }, at);
  expect(record.ending?.phase).toBe('RebootRequired');
});

test('the times of its phases are kept', () => {
  const waiting: AttemptRecord = { ...restarting, step: 'await-reboot', phase: 'RebootRequired' };
  const record = next(waiting, { step: 'await-reboot', order }, { ...at, time: '2026-01-01T00:05:00Z' });
  expect(record.phases?.at(-1)).toEqual({ phase: 'Rebooting', at: '2026-01-01T00:05:00Z' });
});
