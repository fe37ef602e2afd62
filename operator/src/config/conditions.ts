// Makes the conditions of a NixConfig from its standing.
import type { Condition } from '@floe/crds/object-meta';
import { rfc3339 } from '@floe/crds/rfc3339';
import { RESTS, type Words } from './wording.ts';

/** Whether Nix could shut builds in; undefined while that is not known. */
export type Sandboxed = boolean | undefined;

/**
 * Ready, Reconciling and Stalled, as kstatus reads them, why it is at rest where it is, and Sandboxed where that is known;
 * conditions of others are kept. `lastTransitionTime` stays while the status does.
 */
export function conditionsOf(
  words: Words,
  previous: readonly Condition[],
  { generation, sandboxed, now }: { generation: number | undefined; sandboxed: Sandboxed; now: Date },
): Condition[] {
  const { ready, course, reason, message, rest } = words;
  const drafts: Omit<Condition, 'lastTransitionTime'>[] = [
    { type: 'Ready', status: ready, reason, message },
    course === 'working'
      ? { type: 'Reconciling', status: 'True', reason, message }
      : { type: 'Reconciling', status: 'False', reason: 'Idle', message: 'nothing is in hand' },
    course === 'stuck'
      ? { type: 'Stalled', status: 'True', reason, message }
      : { type: 'Stalled', status: 'False', reason: 'NotStalled', message: 'nothing is in the way' },
  ];
  if (rest !== undefined) drafts.push({ type: rest, status: 'True', reason, message });
  if (sandboxed !== undefined) drafts.push(sandboxCondition(sandboxed));
  const ours = drafts.map((draft): Condition => {
    const before = previous.find(({ type }) => type === draft.type);
    const kept = before?.status === draft.status ? before.lastTransitionTime : rfc3339(now);
    return {
      ...draft,
      lastTransitionTime: kept,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
  });
  const own = new Set<string>([...RESTS, ...drafts.map(({ type }) => type)]);
  return [...ours, ...previous.filter(({ type }) => !own.has(type))];
}

function sandboxCondition(sandboxed: boolean): Omit<Condition, 'lastTransitionTime'> {
  if (sandboxed) {
    return { type: 'Sandboxed', status: 'True', reason: 'Sandboxed', message: 'Nix shuts each build in' };
  }
  const message =
    'Nix could not shut builds in, since the node lets no pod make user namespaces: whoever may build in this namespace can change what others build there';
  return { type: 'Sandboxed', status: 'False', reason: 'NoUserNamespaces', message };
}
