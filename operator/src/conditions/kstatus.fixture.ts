// What kstatus makes of an object: the generic rules of sigs.k8s.io/cli-utils (pkg/kstatus/status), by which Flux and kpt wait. Argo CD does not: it goes by health scripts of its own.
import type { Condition, ObjectMeta } from '@floe/crds/object-meta';

export type Kstatus = 'InProgress' | 'Failed' | 'Current' | 'Terminating';

type Judged = {
  readonly metadata: ObjectMeta;
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] };
};

/**
 * 1. Being deleted: Terminating. 2. Another generation than the observed one: InProgress; a field that is missing proves
 * nothing. 3. The first of Reconciling and Stalled that is True, in the order of the list. 4. Ready: True is Current, False
 * and Unknown are InProgress. 5. What says nothing of itself is Current.
 */
export function kstatusOf({ metadata, status = {} }: Judged): Kstatus {
  if (metadata.deletionTimestamp !== undefined && metadata.deletionTimestamp !== '') return 'Terminating';
  const { observedGeneration, conditions = [] } = status;
  const { generation } = metadata;
  if (generation !== undefined && observedGeneration !== undefined && generation !== observedGeneration) {
    return 'InProgress';
  }
  for (const { type, status: value } of conditions) {
    if (type === 'Reconciling' && value === 'True') return 'InProgress';
    if (type === 'Stalled' && value === 'True') return 'Failed';
  }
  const ready = conditions.find(({ type }) => type === 'Ready')?.status;
  return ready === undefined || ready === 'True' ? 'Current' : 'InProgress';
}
