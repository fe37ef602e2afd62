// The moves that every decision about an attempt is made of: to a step, to its end, back to the old closure.
import type { AttemptPhase } from '@floe/crds/attempt-phase';
import type { AttemptRecord, FinalPhase, Step } from './record.ts';

/** Now, on both clocks: for people, and for deadlines of this boot. */
export type Moment = { readonly time: string; readonly monotonicMs: number };

const PHASES: Readonly<Partial<Record<Step, AttemptPhase>>> = {
  fetch: 'Fetching',
  'await-go': 'Fetched',
  begin: 'Fetched',
  'arm-switch': 'Testing',
  'arm-health': 'Testing',
  confirm: 'Confirming',
  'arm-commit': 'Committing',
  'arm-undo': 'RollingBack',
  'await-reboot': 'RebootRequired',
  restart: 'Rebooting',
  reboot: 'Rebooting',
};

const RUNS: ReadonlySet<Step> = new Set<Step>(['switch', 'boot', 'undo-boot', 'undo-system']);

/** Goes to a step; runs get a number of their own, so that doing one twice is told from doing it again. */
export function enter(record: AttemptRecord, step: Step, change: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    ...record,
    ...change,
    step,
    phase: PHASES[step] ?? record.phase,
    run: RUNS.has(step) ? record.run + 1 : record.run,
  };
}

export const UNCHANGED = 'Nothing was changed.';

/** Phases that are remembered of an attempt. */
const REMEMBERED_PHASES = 16;

/** The record with the time at which its phase began, where that is another than before. */
export function stamped(before: AttemptRecord, record: AttemptRecord, at: Moment): AttemptRecord {
  const { phases = [{ phase: before.phase, at: before.startedAt }] } = before;
  if (record.phase === phases.at(-1)?.phase || phases.length >= REMEMBERED_PHASES) return record;
  return { ...record, phases: [...phases, { phase: record.phase, at: at.time }] };
}

/** Ends the attempt: puts the timer away, then it is done. */
export function end(record: AttemptRecord, phase: FinalPhase, message: string): AttemptRecord {
  return enter(record, 'disarm', { ending: { phase, message: [message, ...(record.remarks ?? [])].join(' ') } });
}

/** Adds to what the last message has to say. */
export function remark(record: AttemptRecord, text: string): AttemptRecord {
  const { remarks = [] } = record;
  return remarks.includes(text) ? record : { ...record, remarks: [...remarks, text] };
}

/** Goes back to the old closure, as far as anything was touched, and then ends so. */
export function undo(record: AttemptRecord, phase: FinalPhase, message: string): AttemptRecord {
  if (!record.systemTouched && !record.bootTouched) return end(record, phase, message);
  return enter(record, 'arm-undo', { undone: true, ending: { phase, message }, message, lockTries: 0 });
}

/** A person at the console is told soon that somebody else switches. */
const LOCAL_LOCK_SECONDS = 30;

/** How long a taken lock is waited for on the way forward, in seconds. */
export function lockSeconds({ order }: AttemptRecord): number {
  return order.origin === 'local'
    ? Math.min(LOCAL_LOCK_SECONDS, order.switchTimeoutSeconds)
    : order.switchTimeoutSeconds;
}

/** The attempt that found switch-to-configuration's lock taken and shall try again; undefined after so many seconds. */
export function retryLock(record: AttemptRecord, at: Moment, seconds: number): AttemptRecord | undefined {
  // A clock that is behind is that of another boot.
  const since = record.lockTries === 0 || at.monotonicMs < record.busySince ? at.monotonicMs : record.busySince;
  if (at.monotonicMs - since > seconds * 1000) return undefined;
  return { ...record, lockTries: record.lockTries + 1, busySince: since };
}

/** How a roll-back is called: for want of confirmation where the machine itself was content. */
export function unproven(record: AttemptRecord): 'Unconfirmed' | 'RolledBack' {
  return record.passed ? 'Unconfirmed' : 'RolledBack';
}

/** Something else runs, though the new closure had been activated in this boot. What somebody else activated is left alone. */
export function displaced(record: AttemptRecord, current: string | undefined): AttemptRecord {
  if (current === record.before?.system || current === undefined) {
    return undo(record, unproven(record), 'Something else went back to the old closure before the new one was kept.');
  }
  const kept: AttemptRecord = { ...record, systemTouched: false };
  return undo(kept, 'Cancelled', `Something else activated ${current} meanwhile.`);
}

/** A sentence begins with a capital. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
