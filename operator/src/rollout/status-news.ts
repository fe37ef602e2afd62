// What a new status of a Rollout brings: something that must be stored at once, mere counters, or nothing.
import type { RolloutStatus } from '@floe/crds/rollout';
import { sameJson } from '../conditions/merge-patch.ts';

export type News = 'none' | 'counters' | 'course';

/**
 * Compares two statuses. `course` is what a restart must find again (run, step, phase, what was handled); counters and
 * the words about them may wait.
 */
export function newsOf(before: RolloutStatus | undefined, after: RolloutStatus): News {
  if (sameJson(before, after)) return 'none';
  return sameJson(courseOf(before), courseOf(after)) ? 'counters' : 'course';
}

function courseOf(status: RolloutStatus | undefined): unknown {
  if (status === undefined) return undefined;
  const { counts: _, updated: __, nextChange: ___, estimatedEnd: ____, skipped: _____, conditions, ...course } = status;
  return { ...course, conditions: conditions?.map(({ type, status: holds, reason }) => ({ type, holds, reason })) };
}
