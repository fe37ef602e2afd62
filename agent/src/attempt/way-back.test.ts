// The end of a roll-back: what the machine says decides, and a reboot is the last resort, once.
import { expect, test } from 'vitest';
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
