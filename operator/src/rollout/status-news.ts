// What a new status of a Rollout brings: something that must be stored at once, mere counters, or nothing.
import type { AnalysisStatus } from '@floe/crds/analysis';
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
  const {
    counts: _,
    updated: __,
    nextChange: ___,
    estimatedEnd: ____,
    skipped: _____,
    analysis,
    conditions,
    ...course
  } = status;
  return {
    ...course,
    analysis: analysis && verdictsOf(analysis),
    conditions: conditions?.map(({ type, status: holds, reason }) => ({ type, holds, reason })),
  };
}

/** What was measured may wait: until it is stored its results are kept. What it comes to may not. */
function verdictsOf({ run, step, background, cause, acceptedAt }: AnalysisStatus): unknown {
  const verdict = (scope: AnalysisStatus['background']) => scope && { startedAt: scope.startedAt, phase: scope.phase };
  return { run, step: verdict(step), index: step?.index, background: verdict(background), cause, acceptedAt };
}
