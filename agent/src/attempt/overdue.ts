// Which attempt a timer that goes off has to undo, and how the way back begins. Pure.
import { attemptName } from './names.ts';
import { type AttemptRecord, isResting, type Step } from './record.ts';
import { enter, undo, unproven } from './transition.ts';

/** What was going on when nobody was heard of any more. */
const LAST_SEEN: Readonly<Partial<Record<Step, string>>> = {
  switch: 'the switch was under way',
  'hand-over': 'its agent did not start',
  health: 'its agent was last seen at the health checks',
  confirm: 'its agent was last seen asking the hub',
  profile: 'its agent was last seen setting the system profile',
  boot: 'its agent was last seen writing the boot entry',
};

/** What a timer was armed with. */
export type Alarm = { readonly attempt: string; readonly timer?: number };

/** The attempt that is to be undone; undefined where nothing is, or a later timer has the say. */
export function overdue(record: AttemptRecord | undefined, { attempt, timer }: Alarm): AttemptRecord | undefined {
  if (record === undefined || isResting(record) || record.step === 'restart') return undefined;
  if (record.order.id !== attempt && attemptName(record.order) !== attempt) return undefined;
  if (timer !== undefined && timer < record.armed) return undefined;
  // The timer that went off must not be armed anew: its unit is this process.
  return { ...record, armed: Math.max(record.armed, timer ?? 0) };
}

/** The attempt on its way back. */
export function rescued(record: AttemptRecord): AttemptRecord {
  if (record.step === 'disarm') return record;
  if (record.ending !== undefined) return enter(record, 'arm-undo');
  const seen = LAST_SEEN[record.step] ?? `last seen at step ${record.step}`;
  const why = `The new closure was not kept in time: ${seen}.`;
  return undo(record, unproven(record), why);
}
