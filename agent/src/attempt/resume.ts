// Decides how an attempt that an earlier process left unfinished goes on: pure, from the journal and the machine itself.
import type { Seen } from './outcome.ts';
import { type AttemptRecord, runsNew, type Step } from './record.ts';
import { displaced, end, enter, undo, unproven } from './transition.ts';

const SWITCHED: ReadonlySet<Step> = new Set<Step>(['arm-start', 'hand-over', 'arm-health', 'health', 'confirm']);
const COMMITTING: ReadonlySet<Step> = new Set<Step>(['arm-commit', 'profile', 'boot']);
const UNDOING: ReadonlySet<Step> = new Set<Step>([
  'arm-undo',
  'undo-profile',
  'undo-boot',
  'undo-system',
  'undo-units',
  'undo-check',
  'reboot',
]);

/**
 * The attempt as a process that starts now takes it up. What counts is the machine's own evidence: what runs, and
 * whether it was booted since.
 */
export function resume(record: AttemptRecord, seen: Seen): AttemptRecord {
  const { before } = record;
  if (record.step === 'done') return afterReboot(record, seen);
  if (before === undefined) return record;
  if (record.step === 'disarm') return putAway(record, seen);
  if (seen.bootId !== before.bootId) {
    return afterPowerCut({ ...record, before: { ...before, bootId: seen.bootId } }, seen);
  }
  const isNew = runsNew(record, seen.current);
  const switched = (SWITCHED.has(record.step) || COMMITTING.has(record.step)) && record.systemTouched;
  if (switched && !isNew) return displaced(record, seen.current);
  return record.step === 'hand-over' ? enter(record, 'arm-health') : record;
}

const BOOTED = { phase: 'Committed', message: 'It runs since the machine was restarted.' } as const;

/** A closure that waited for its boot, and now runs. */
function afterReboot(record: AttemptRecord, seen: Seen): AttemptRecord {
  if (record.phase !== 'RebootRequired') return record;
  if (runsNew(record, seen.current)) return { ...record, ...BOOTED };
  const message = `It waits for its boot. The machine was restarted, but ${cameUpWith(record, seen)}.`;
  return record.before === undefined || record.before.bootId === seen.bootId ? record : { ...record, message };
}

/** The same, where the boot came before the attempt was put away. */
function putAway(record: AttemptRecord, seen: Seen): AttemptRecord {
  const restarted = record.before?.bootId !== seen.bootId;
  const kept = record.ending?.phase === 'Committed' && record.bootTouched;
  if (kept && restarted && !runsNew(record, seen.current)) return elsewhere(record, seen);
  if (record.ending?.phase !== 'RebootRequired' || !runsNew(record, seen.current)) return record;
  return { ...record, ending: BOOTED };
}

/** Nothing was touched: look at the machine again and go on from there. */
function again(record: AttemptRecord): AttemptRecord {
  return { ...record, step: 'begin', rebootOnly: false, systemTouched: false };
}

const CAME_UP = { cameUp: true, systemTouched: true, bootTouched: true, rebootOnly: false } as const;

function cameUpWith({ before }: AttemptRecord, { current }: Seen): string {
  return current !== undefined && current === before?.system
    ? `came back on the old closure ${current}`
    : `came back on ${current ?? 'an unknown system'}, which is neither the new closure nor the old one`;
}

/** The machine was booted for the new closure and runs another: that is said, and the boot entry goes back. */
function elsewhere(record: AttemptRecord, seen: Seen): AttemptRecord {
  const phase = seen.current === record.before?.system ? 'RolledBack' : 'Failed';
  const whole: AttemptRecord = { ...record, systemTouched: false, bootTouched: true };
  return undo(whole, phase, `The machine was restarted for it, but ${cameUpWith(record, seen)}.`);
}

function afterPowerCut(record: AttemptRecord, seen: Seen): AttemptRecord {
  const { before } = record;
  const isNew = runsNew(record, seen.current);
  if (UNDOING.has(record.step)) {
    const booted: AttemptRecord = isNew
      ? { ...record, ...(record.staged ? CAME_UP : { systemTouched: true }) }
      : record;
    return enter(booted, booted.bootTouched ? 'arm-undo' : 'undo-check');
  }
  if (record.step === 'begin' || record.step === 'arm-switch') return again(record);
  if (record.staged && !COMMITTING.has(record.step)) {
    return isNew ? enter(record, 'arm-health', CAME_UP) : elsewhere(record, seen);
  }
  if (record.cameUp && !isNew) return elsewhere(record, seen);
  if (record.staged && !record.cameUp && isNew) return enter(record, 'arm-health', CAME_UP);
  if (COMMITTING.has(record.step)) {
    if (isNew) return enter(record, 'arm-commit', { rebootOnly: false });
    if (record.rebootOnly) return enter(record, 'arm-commit');
    const message = 'The machine was restarted after the confirmation, before the boot entry was written.';
    return undo({ ...record, systemTouched: false, bootTouched: true }, 'Unconfirmed', message);
  }
  if (record.rebootOnly) return again(record);
  if (isNew) return enter(record, 'arm-health', { systemTouched: true });
  const where = seen.current ?? 'an unknown system';
  const message = `The machine was restarted before the new closure was kept; it runs ${where}.`;
  const undone = seen.current === before?.system;
  return end({ ...record, systemTouched: false, undone }, unproven(record), message);
}
