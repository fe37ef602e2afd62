// Finds the revision records that nobody needs any more.

import { API_VERSION } from '@floe/crds/constants';
import type { NixConfigStatus } from '@floe/crds/nix-config';
import type { Snapshot } from './snapshot.ts';

/**
 * Names of ControllerRevisions to delete: those of revisions that are neither in the history nor wanted, run or booted by
 * a machine, nor named by a Rollout. `target` is the revision that is being built; without one nothing is pruned.
 */
export function prunedRecords(
  { config, machines, records, rollouts, jobs }: Snapshot,
  status: NixConfigStatus,
  target: string | undefined,
): string[] {
  if (target === undefined || status.revision === undefined) return [];
  const kept = new Set<string | undefined>([target, status.revision.id]);
  for (const { id } of status.history ?? []) kept.add(id);
  for (const machine of machines) {
    const { desired, current, booted, bootDefault } = machine.status ?? {};
    for (const part of [desired, current, booted, bootDefault]) kept.add(part?.revision);
  }
  for (const rollout of rollouts) {
    kept.add(rollout.status?.revision);
    kept.add(rollout.status?.stableRevision);
  }
  // A Job that is about to go may just have reported.
  for (const job of jobs) kept.add(job.metadata.labels?.['floe.dev/revision']);
  const owner = config.metadata.uid;
  return records
    .filter(({ metadata, data }) => {
      const ours = metadata.ownerReferences?.some(({ uid, apiVersion }) => uid === owner && apiVersion === API_VERSION);
      return ours === true && metadata.deletionTimestamp === undefined && !kept.has(data?.revision);
    })
    .map(({ metadata }) => metadata.name)
    .toSorted();
}
