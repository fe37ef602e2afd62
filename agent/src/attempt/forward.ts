// The ways forward of an attempt: to its confirmation, to being kept, to a boot. Pure.
import { type AttemptRecord, crossesReboot } from './record.ts';
import { end, enter, type Moment } from './transition.ts';

/** After all checks: confirm, where the order asks for it. */
export function toConfirm(record: AttemptRecord, at: Moment): AttemptRecord {
  if (record.order.confirm === 'none') return toCommit(record);
  return enter(record, 'confirm', { confirmBy: at.monotonicMs + record.order.confirmTimeoutSeconds * 1000 });
}

/** Confirmed: keep it. */
export function toCommit(record: AttemptRecord): AttemptRecord {
  if (record.order.mode === 'test') return end(record, 'Committed', 'It runs until the next boot.');
  return enter(record, 'arm-commit', { lockTries: 0 });
}

/** What only a boot can start: kept until then, or taken across the boot within this attempt. */
export function toReboot(record: AttemptRecord, at: Moment): AttemptRecord {
  const waits: AttemptRecord = { ...record, rebootOnly: true };
  if (!crossesReboot(record)) return toConfirm(waits, at);
  const { before } = record;
  // The boot entry may name the new closure already, from an attempt that only waited: the way back is what runs.
  const way = before?.profile === record.order.closure ? { before: { ...before, profile: before.system } } : {};
  return enter({ ...waits, ...way, staged: true }, 'arm-commit', { lockTries: 0 });
}

/** The same, unless its boot entry is there already. */
export function toBoot(record: AttemptRecord, booted: boolean, at: Moment): AttemptRecord {
  if (booted && !crossesReboot(record)) return end(record, 'RebootRequired', 'The next boot starts it already.');
  return toReboot(record, at);
}
