// Decides how an attempt that an earlier process left unfinished goes on: pure, from the journal and the machine itself.
import type { Seen } from './outcome.ts';
import type { AttemptRecord, Step } from './record.ts';
import { displaced, end, enter, undo, unproven } from './transition.ts';

const SWITCHED: ReadonlySet<Step> = new Set<Step>(['arm-start', 'hand-over', 'arm-health', 'health', 'confirm']);
const COMMITTING: ReadonlySet<Step> = new Set<Step>(['arm-commit', 'profile', 'boot']);
const UNDOING: ReadonlySet<Step> = new Set<Step>([
  'arm-undo',
  'undo-profile',
  'undo-boot',
  'undo-system',
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
  const runsNew = seen.current === record.order.closure;
  const switched = (SWITCHED.has(record.step) || COMMITTING.has(record.step)) && record.systemTouched;
  if (switched && !runsNew) return displaced(record, seen.current);
  return record.step === 'hand-over' ? enter(record, 'arm-health') : record;
}

const BOOTED = { phase: 'Committed', message: 'It runs since the machine was restarted.' } as const;

/** A closure that waited for its boot, and now runs. */
function afterReboot(record: AttemptRecord, seen: Seen): AttemptRecord {
  if (record.phase !== 'RebootRequired' || seen.current !== record.order.closure) return record;
  return { ...record, ...BOOTED };
}

/** The same, where the boot came before the attempt was put away. */
function putAway(record: AttemptRecord, seen: Seen): AttemptRecord {
  if (record.ending?.phase !== 'RebootRequired' || seen.current !== record.order.closure) return record;
  return { ...record, ending: BOOTED };
}

/** Nothing was touched: look at the machine again and go on from there. */
function again(record: AttemptRecord): AttemptRecord {
  return { ...record, step: 'begin', rebootOnly: false, systemTouched: false };
}

function afterPowerCut(record: AttemptRecord, seen: Seen): AttemptRecord {
  const runsNew = seen.current === record.order.closure;
  if (UNDOING.has(record.step)) return enter(record, record.bootTouched ? 'arm-undo' : 'undo-check');
  if (record.step === 'begin' || record.step === 'arm-switch') return again(record);
  if (COMMITTING.has(record.step)) {
    if (runsNew) return enter(record, 'arm-commit', { rebootOnly: false });
    if (record.rebootOnly) return enter(record, 'arm-commit');
    const message = 'The machine was restarted after the confirmation, before the boot entry was written.';
    return undo({ ...record, systemTouched: false, bootTouched: true }, 'Unconfirmed', message);
  }
  if (record.rebootOnly) return again(record);
  if (runsNew) return enter(record, 'arm-health', { systemTouched: true });
  const where = seen.current ?? 'an unknown system';
  const message = `The machine was restarted before the new closure was kept; it runs ${where}.`;
  return end({ ...record, systemTouched: false, undone: true }, unproven(record), message);
}
