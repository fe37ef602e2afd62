// The end of a roll-back: what the machine says decides, and a reboot is the last resort, once.
import { expect, test } from 'vitest';
import { runOf } from './act.ts';
import { orderFor } from './model.fixture.ts';
import { next } from './next.ts';
import type { Seen } from './outcome.ts';
import { type AttemptRecord, newAttempt } from './record.ts';
import { resume } from './resume.ts';

const OLD = '/nix/store/00000000000000000000000000000000-old';
const NEW = '/nix/store/11111111111111111111111111111111-new';
const at = { time: '2026-01-01T00:00:00Z', monotonicMs: 0 };

const record: AttemptRecord = {
  ...newAttempt(orderFor({ mode: 'switch', confirm: 'hub' }), at.time),
  step: 'undo-check',
  phase: 'RollingBack',
  before: { system: OLD, profile: OLD, failedUnits: ['known.service'], bootId: '1', program: ['agent'] },
  systemTouched: true,
  bootTouched: true,
  undone: true,
  ending: { phase: 'RolledBack', message: 'bad.service failed.' },
};

const back: Seen = { current: OLD, profile: OLD, bootDefault: { closure: OLD, verified: true }, bootId: '1' };
const check = (
  seen: Partial<Seen>,
  change: Partial<AttemptRecord> = {},
  canReboot = true,
  failedUnits: string[] = [],
) => next({ ...record, ...change }, { step: 'undo-check', seen: { ...back, ...seen }, failedUnits, canReboot }, at);

test('all is back', () => {
  expect(check({}).ending).toEqual({
    phase: 'RolledBack',
    message: `bad.service failed. The machine is back on ${OLD}.`,
  });
});

test('units that fail on the old closure now are named, those that failed before are not', () => {
  expect(check({}, {}, true, ['known.service', 'db.service']).ending?.message).toContain(
    'There db.service failed, too.',
  );
});

test('the new closure still runs and the next boot starts the old one: reboot, once', () => {
  const rebooting = check({ current: NEW });
  expect([rebooting.step, rebooting.phase, rebooting.rebooted]).toEqual(['reboot', 'Rebooting', true]);
  const again = check({ current: NEW }, { rebooted: true, undoFault: 'exit code 2: no space' });
  expect(again.ending?.phase).toBe('Failed');
  expect(again.ending?.message).toContain(`The roll-back to ${OLD} failed (exit code 2: no space): it runs ${NEW}`);
});

test('a reboot is said, with why it had to be: before it, and with how the attempt ends', () => {
  const why = 'The old closure could not be brought back live (exit code 2: no space), so the machine was restarted';
  const rebooting = check({ current: NEW }, { undoFault: 'exit code 2: no space' });
  expect(rebooting.message).toContain(`bad.service failed. ${why}`);
  const after = resume(rebooting, { ...back, bootId: '2' });
  const ended = next(
    { ...after, step: 'undo-check' },
    { step: 'undo-check', seen: back, failedUnits: [], canReboot: true },
    at,
  );
  expect(ended.ending?.message).toContain(why);
});

test('the boot entry and the system are two runs, and the second is made whatever became of the first', () => {
  const profile = next({ ...record, step: 'undo-profile' }, { step: 'undo-profile', result: { kind: 'ok' } }, at);
  expect(runOf(profile)).toMatchObject({ closure: OLD, verb: 'boot' });
  const failed = { kind: 'exited', code: 1, said: 'Failed to install bootloader' } as const;
  const live = next(profile, { step: 'undo-boot', run: failed }, at);
  expect(runOf(live)).toMatchObject({ closure: OLD, verb: 'test' });
  const done = { step: 'undo-check', seen: back, failedUnits: [], canReboot: true } as const;
  const ran = next(live, { step: 'undo-system', run: { kind: 'exited', code: 0 } }, at);
  const ended = next({ ...ran, step: 'undo-check' }, done, at);
  expect(ended.ending).toEqual({ phase: 'RolledBack', message: `bad.service failed. The machine is back on ${OLD}.` });
  const blind = { ...done, seen: { ...back, bootDefault: { closure: OLD, verified: false } } };
  expect(next({ ...ran, step: 'undo-check' }, blind, at).ending?.message).toContain(
    'The boot entry could not be written again (exit code 1: Failed to install bootloader)',
  );
});

test('a boot entry that names the new closure for good is a way back that failed, without a restart', () => {
  const seen: Partial<Seen> = { bootDefault: { closure: NEW, verified: true } };
  const { ending, step } = check(seen, { undoBootFault: 'exit code 1: read-only' });
  expect([step, ending?.phase]).toEqual(['disarm', 'Failed']);
  expect(ending?.message).toContain('failed (boot entry: exit code 1: read-only)');
});

test('after that reboot the machine is asked again', () => {
  const rebooting = check({ current: NEW });
  const after = resume(rebooting, { ...back, bootId: '2' });
  expect(after.step).toBe('arm-undo');
  expect(after.ending).toEqual(record.ending);
});

test.each<{ name: string; seen: Partial<Seen>; canReboot: boolean }>([
  {
    name: 'a reboot would start the new closure',
    seen: { current: NEW, bootDefault: { closure: NEW, verified: true } },
    canReboot: true,
  },
  { name: 'rebooting is not ours to do', seen: { current: NEW }, canReboot: false },
  { name: 'the boot entry is not back', seen: { bootDefault: { closure: NEW, verified: true } }, canReboot: true },
  { name: 'the profile is not back', seen: { profile: NEW }, canReboot: true },
])('$name: failed, with what runs and what to do', ({ seen, canReboot }) => {
  const { ending } = check(seen, {}, canReboot);
  expect(ending?.phase).toBe('Failed');
  expect(ending?.message).toContain('by hand');
});

test('what somebody else activated meanwhile is left alone', () => {
  const other = '/nix/store/22222222222222222222222222222222-other';
  const waiting: AttemptRecord = { ...record, step: 'confirm', phase: 'Confirming', bootTouched: false, undone: false };
  const { ending: _, ...undecided } = waiting;
  const taken = resume(undecided, { ...back, current: other });
  expect([taken.step, taken.ending?.phase]).toEqual(['disarm', 'Cancelled']);
  expect(taken.ending?.message).toContain(other);
});

test('a way back that failed is called no roll-back', () => {
  expect(check({ current: NEW }, { rebooted: true }).undone).toBe(false);
  expect(check({}).undone).toBe(true);
});

test('with rebootAfter the way back is tried again until then, and only then the machine restarts', () => {
  const order = { ...record.order, rebootAfterSeconds: 60 };
  const seen = { ...back, current: NEW };
  const outcome = { step: 'undo-check', seen, failedUnits: [], canReboot: true } as const;
  const again = next({ ...record, order }, outcome, at);
  expect(again).toMatchObject({ step: 'undo-system', undoTries: 1, undoSince: 0 });
  const later = next({ ...again, step: 'undo-check' }, outcome, { ...at, monotonicMs: 59_000 });
  expect(later).toMatchObject({ step: 'undo-system', undoTries: 2 });
  const late = next({ ...later, step: 'undo-check' }, outcome, { ...at, monotonicMs: 60_000 });
  expect(late).toMatchObject({ step: 'reboot', rebooted: true });
});

test('a profile that somebody set by hand meanwhile is left so, and its boot entry is written', () => {
  const other = '/nix/store/22222222222222222222222222222222-other';
  const undoing: AttemptRecord = { ...record, step: 'undo-profile' };
  const left = next(undoing, { step: 'undo-profile', result: { kind: 'ok' }, left: other }, at);
  expect(left.step).toBe('undo-boot');
  expect(runOf(left)).toMatchObject({ closure: other, verb: 'boot', skipChecks: true });
  const live = next(left, { step: 'undo-boot', run: { kind: 'exited', code: 0 } }, at);
  expect(runOf(live)).toMatchObject({ closure: OLD, verb: 'test' });
  const seen = { ...back, profile: other, bootDefault: { closure: other, verified: true } };
  const ended = next(
    { ...live, step: 'undo-check' },
    { step: 'undo-check', seen, failedUnits: [], canReboot: true },
    at,
  );
  expect(ended.ending?.phase).toBe('RolledBack');
  expect(ended.ending?.message).toContain(`set to ${other} by somebody meanwhile, and is left so`);
});

test('the way back has a limit of its own, and no check can refuse it', () => {
  const order = { ...record.order, rollbackTimeoutSeconds: 42 };
  expect(runOf({ ...record, order, step: 'undo-system' })).toMatchObject({ limitSeconds: 42, skipChecks: true });
  expect(runOf({ ...record, order, step: 'switch' })).toMatchObject({ limitSeconds: 10, skipChecks: false });
});

test('after the system its units are started again', () => {
  const ran = next({ ...record, step: 'undo-system' }, { step: 'undo-system', run: { kind: 'exited', code: 4 } }, at);
  expect(ran.step).toBe('undo-units');
  expect(next(ran, { step: 'undo-units', result: { kind: 'ok' } }, at).step).toBe('undo-check');
});
