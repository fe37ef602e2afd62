// Which Rollout a Rollout waits for: `spec.dependsOn`, as far as it is not fulfilled.
import type { Rollout } from '@floe/crds/rollout';
import { shortRevision } from '../conditions/spoken.ts';
import { hasCompleted } from './run.ts';
import type { Snapshot } from './snapshot.ts';
import { clip } from './wording.ts';

/** What stands before a Rollout. `reason` is for its conditions; a cycle ends only by an edit. */
export type Blocker = {
  readonly reason: 'WaitingForDependency' | 'DependencyMissing' | 'DependencyCycle';
  readonly message: string;
};

/**
 * The first dependency that is not fulfilled; undefined: all are. A Rollout is done when it is completed with the newest
 * revision that is built of its config, and has looked at its present spec. An empty selection is complete.
 */
export function blockerOf(snapshot: Snapshot): Blocker | undefined {
  const { rollout } = snapshot;
  const before = rollout.spec.dependsOn ?? [];
  if (before.length === 0) return undefined;
  const cycle = cycleOf(snapshot);
  if (cycle !== undefined) {
    const message = `spec.dependsOn leads back to this Rollout: ${cycle.join(' → ')}; take one of them out`;
    return { reason: 'DependencyCycle', message };
  }
  for (const { name } of before) {
    const found = find(snapshot, name);
    if (found === undefined) {
      const message = `waits for Rollout ${name}, which is not there; create it or take it out of spec.dependsOn`;
      return { reason: 'DependencyMissing', message };
    }
    const open = whatIsOpen(found, snapshot);
    if (open !== undefined) {
      return { reason: 'WaitingForDependency', message: clip(`waits for Rollout ${name}: ${open}`) };
    }
  }
  return undefined;
}

function find({ rollout, rollouts }: Snapshot, name: string): Rollout | undefined {
  const namespace = rollout.metadata.namespace ?? 'default';
  return rollouts.find(
    ({ metadata }) =>
      metadata.name === name &&
      (metadata.namespace ?? 'default') === namespace &&
      metadata.deletionTimestamp === undefined,
  );
}

/** Why a Rollout is not done; undefined: it is. */
function whatIsOpen({ metadata, spec, status }: Rollout, { config, configs }: Snapshot): string | undefined {
  const of = [...(configs ?? []), ...(config === undefined ? [] : [config])].find(
    (other) => other.metadata.name === spec.configRef?.name,
  );
  const built = of?.status?.revision?.id;
  if (status === undefined || !hasCompleted(status)) {
    const says = status?.conditions?.find(({ type }) => type === 'Ready')?.message;
    return `${status?.phase ?? 'Idle'}${says === undefined ? '' : `, ${says}`}`;
  }
  if (built !== undefined && built !== status.revision) {
    return `it has not begun with ${shortRevision(built)} yet`;
  }
  const { observedGeneration } = status;
  const isStale =
    metadata.generation !== undefined && observedGeneration !== undefined && observedGeneration < metadata.generation;
  return isStale ? 'it has been edited and is looked at again' : undefined;
}

/** The shortest way from the Rollout back to itself, by name. */
function cycleOf(snapshot: Snapshot): string[] | undefined {
  const { name } = snapshot.rollout.metadata;
  const next = (of: Rollout | undefined): string[] => (of?.spec.dependsOn ?? []).map((other) => other.name);
  const ways: string[][] = next(snapshot.rollout).map((other) => [name, other]);
  const seen = new Set<string>();
  for (const way of ways) {
    const end = way.at(-1) ?? '';
    if (end === name) return way;
    if (seen.has(end)) continue;
    seen.add(end);
    ways.push(...next(find(snapshot, end)).map((other) => [...way, other]));
  }
  return undefined;
}
