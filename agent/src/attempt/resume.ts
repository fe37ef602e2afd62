// Decides how an attempt that an earlier process left unfinished goes on: pure, from the journal and the machine itself.

import { afterBoot, COMMITTING, cameUpWith, elsewhere } from './after-boot.ts';
import type { Seen } from './outcome.ts';
import { type AttemptRecord, runsNew, type Step } from './record.ts';
import { displaced, enter } from './transition.ts';

const SWITCHED: ReadonlySet<Step> = new Set<Step>(['arm-start', 'hand-over', 'arm-health', 'health', 'confirm']);

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
    return afterBoot({ ...record, before: { ...before, bootId: seen.bootId } }, seen);
  }
  const isNew = runsNew(record, seen.current);
  const switched = (SWITCHED.has(record.step) || COMMITTING.has(record.step)) && record.systemTouched;
  if (switched && !isNew) return displaced(record, seen.current);
  return record.step === 'hand-over' ? enter(record, 'arm-health') : record;
}

function booted({ remarks = [] }: AttemptRecord) {
  const message = ['It runs since the machine was restarted.', ...remarks].join(' ');
  return { phase: 'Committed', message } as const;
}

/** A closure that waited for its boot, and now runs. */
function afterReboot(record: AttemptRecord, seen: Seen): AttemptRecord {
  if (record.phase !== 'RebootRequired') return record;
  if (runsNew(record, seen.current)) return { ...record, ...booted(record) };
  const message = `It waits for its boot. The machine was restarted, but ${cameUpWith(record, seen)}.`;
  return record.before === undefined || record.before.bootId === seen.bootId ? record : { ...record, message };
}

/** The same, where the boot came before the attempt was put away. */
function putAway(record: AttemptRecord, seen: Seen): AttemptRecord {
  const restarted = record.before?.bootId !== seen.bootId;
  const kept = record.ending?.phase === 'Committed' && record.bootTouched;
  if (kept && restarted && !runsNew(record, seen.current)) return elsewhere(record, seen);
  if (record.ending?.phase !== 'RebootRequired' || !runsNew(record, seen.current)) return record;
  return { ...record, ending: booted(record) };
}
