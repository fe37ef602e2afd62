// Decides how an attempt goes on when the machine was booted since its last step: a power cut, or its own restart. Pure.
import type { Seen } from './outcome.ts';
import { type AttemptRecord, runsNew, type Step } from './record.ts';
import { end, enter, undo, unproven } from './transition.ts';

/** Steps that make the new closure the one to boot. */
export const COMMITTING: ReadonlySet<Step> = new Set<Step>(['arm-commit', 'profile', 'boot']);
const UNDOING: ReadonlySet<Step> = new Set<Step>([
  'arm-undo',
  'undo-profile',
  'undo-boot',
  'undo-system',
  'undo-units',
  'undo-check',
  'reboot',
]);

/** Nothing was touched: look at the machine again and go on from there. */
function again(record: AttemptRecord): AttemptRecord {
  return { ...record, step: 'begin', rebootOnly: false, systemTouched: false };
}

const CAME_UP = { cameUp: true, systemTouched: true, bootTouched: true, rebootOnly: false } as const;

/** What the machine came back on, in words. */
export function cameUpWith({ before }: AttemptRecord, { current }: Seen): string {
  return current !== undefined && current === before?.system
    ? `came back on the old closure ${current}`
    : `came back on ${current ?? 'an unknown system'}, which is neither the new closure nor the old one`;
}

/** The machine was booted for the new closure and runs another: that is said, and the boot entry goes back. */
export function elsewhere(record: AttemptRecord, seen: Seen): AttemptRecord {
  const phase = seen.current === record.before?.system ? 'RolledBack' : 'Failed';
  const whole: AttemptRecord = { ...record, systemTouched: false, bootTouched: true };
  return undo(whole, phase, `The machine was restarted for it, but ${cameUpWith(record, seen)}.`);
}

/** The way back that a boot interrupted. */
function undoAgain(record: AttemptRecord, isNew: boolean): AttemptRecord {
  const change = record.staged ? CAME_UP : { systemTouched: true };
  const booted: AttemptRecord = isNew ? { ...record, ...change } : record;
  return enter(booted, booted.bootTouched ? 'arm-undo' : 'undo-check');
}

/** A boot while the new closure was made the one to boot. */
function committing(record: AttemptRecord, isNew: boolean): AttemptRecord {
  if (isNew) return enter(record, 'arm-commit', { rebootOnly: false });
  if (record.rebootOnly) return enter(record, 'arm-commit');
  const message = 'The machine was restarted after the confirmation, before the boot entry was written.';
  return undo({ ...record, systemTouched: false, bootTouched: true }, 'Unconfirmed', message);
}

/** An attempt that restarts the machine: undefined where it has not come to that yet. */
function acrossBoot(record: AttemptRecord, seen: Seen): AttemptRecord | undefined {
  if (!record.staged) return undefined;
  const isNew = runsNew(record, seen.current);
  if (isNew) return record.cameUp && COMMITTING.has(record.step) ? undefined : enter(record, 'arm-health', CAME_UP);
  return record.cameUp || !COMMITTING.has(record.step) ? elsewhere(record, seen) : undefined;
}

/** The attempt after a boot, from what runs now. */
export function afterBoot(record: AttemptRecord, seen: Seen): AttemptRecord {
  const isNew = runsNew(record, seen.current);
  if (UNDOING.has(record.step)) return undoAgain(record, isNew);
  if (record.step === 'begin' || record.step === 'arm-switch') return again(record);
  const across = acrossBoot(record, seen);
  if (across !== undefined) return across;
  if (COMMITTING.has(record.step)) return committing(record, isNew);
  if (record.rebootOnly) return again(record);
  if (isNew) return enter(record, 'arm-health', { systemTouched: true });
  const where = seen.current ?? 'an unknown system';
  const message = `The machine was restarted before the new closure was kept; it runs ${where}.`;
  const undone = seen.current === record.before?.system;
  return end({ ...record, systemTouched: false, undone }, unproven(record), message);
}
