// Conditions of a Rollout, in the form that kstatus reads.
import type { Condition } from '@floe/crds/object-meta';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { Rollout } from '@floe/crds/rollout';
import type { Description } from './describe.ts';
import { clip } from './wording.ts';

type Draft = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** Characters of a condition's message that the API accepts. */
const LIMIT = 2048;

/** All conditions of a Rollout; `lastTransitionTime` moves only when `status` does. */
export function conditionsOf(rollout: Rollout, description: Description, now: number): Condition[] {
  const { generation } = rollout.metadata;
  const previous = new Map((rollout.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  return draftsOf(description).map((draft) => {
    const before = previous.get(draft.type);
    const kept = before?.status === draft.status ? before.lastTransitionTime : undefined;
    return {
      ...draft,
      message: clip(draft.message, LIMIT),
      lastTransitionTime: kept ?? rfc3339(now),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  });
}

function draftsOf(description: Description): Draft[] {
  const { newer } = description;
  // What failed stays in the status; a fix that is being built for it has not failed.
  const isAtRest = description.phase === 'Completed' || description.phase === 'Failed';
  const isAhead = newer !== undefined && isAtRest;
  const { reason, message } = isAhead ? newer : description;
  const stalled = isAhead ? undefined : description.stalled;
  const ready = description.phase === 'Completed' && !isAhead;
  const goesOn = !ready && stalled === undefined;
  const drafts: Draft[] = [
    { type: 'Ready', status: ready ? 'True' : 'False', reason, message },
    { type: 'Reconciling', status: goesOn ? 'True' : 'False', reason, message },
    { type: 'Stalled', status: stalled === undefined ? 'False' : 'True', reason, message: stalled ?? message },
  ];
  const { incomplete, overlapping, nothingSelected } = description;
  if (incomplete !== undefined) drafts.push({ type: 'Incomplete', status: 'True', ...incomplete });
  if (overlapping !== undefined) {
    drafts.push({ type: 'Overlapping', status: 'True', reason: 'OtherRollout', message: overlapping });
  }
  if (nothingSelected !== undefined) {
    drafts.push({ type: 'NothingSelected', status: 'True', reason: 'NothingSelected', message: nothingSelected });
  }
  return drafts;
}
