// Says how far the newest build is: `status.build`, and the same in words.
import type { NixConfigStatus } from '@floe/crds/nix-config';
import { rfc3339 } from '@floe/crds/rfc3339';
import { failureRecord, type JobDecision } from './plan-jobs.ts';
import type { Snapshot } from './snapshot.ts';
import type { ResolvedSource } from './source.ts';

export type BuildStatus = NonNullable<NixConfigStatus['build']>;

type Target = { readonly revision: string; readonly source: ResolvedSource };

/** `status.build` as the Jobs say it; undefined while nothing was ever started for the revision. */
export function buildStatus(
  snapshot: Snapshot,
  { target, decision, now }: { target: Target; decision: JobDecision; now: Date },
): BuildStatus | undefined {
  const { status, metadata } = snapshot.config;
  // Attempts and failures of another revision mean nothing for this one.
  const previous = status?.build?.revision === target.revision ? status.build : undefined;
  if (decision.kind === 'none') return previous;
  const { job } = decision;
  const of = { revision: target.revision, source: target.source.display, job: job.metadata.name };
  const startedAt = job.metadata.creationTimestamp ?? rfc3339(now);
  const same = previous?.job === of.job ? previous : undefined;
  const attempts = previous?.attempts ?? 0;
  switch (decision.kind) {
    case 'running': {
      const progress = snapshot.progress.get(of.job);
      const { phase = 'Fetching', evaluated, built, total } = progress ?? same ?? {};
      return { ...counted({ evaluated, built, total }), ...of, ...tried(attempts), startedAt, phase: open(phase) };
    }
    case 'settling':
      return { ...counted(same ?? {}), ...of, ...tried(attempts), startedAt, phase: open(same?.phase ?? 'Pushing') };
    case 'failed': {
      const failure = failureRecord(decision.failure, attempts + 1, { now, generation: metadata.generation });
      const finishedAt = decision.endedAt;
      return { ...counted(same ?? {}), ...of, ...tried(attempts + 1), startedAt, finishedAt, failure, phase: 'Failed' };
    }
  }
}

/** What a build says in a condition while it runs. */
export function buildWords({ phase, evaluated, built, total }: BuildStatus): string {
  switch (phase) {
    case 'Evaluating':
      return !total ? 'evaluating' : `evaluated ${evaluated ?? 0} of ${total} machines`;
    case 'Building':
      return !total ? 'building' : `built ${built ?? 0} of ${total} derivations`;
    case 'Pushing':
      return 'signing and pushing to the cache';
    default:
      return 'fetching the source and its inputs';
  }
}

/** A Job that runs can't be in a phase that only an ended one has. */
function open(phase: BuildStatus['phase']): BuildStatus['phase'] {
  return phase === 'Failed' || phase === 'Built' || phase === 'Resolving' ? 'Fetching' : phase;
}

type Counts = { evaluated?: number | undefined; built?: number | undefined; total?: number | undefined };

function counted({ evaluated, built, total }: Counts): Pick<BuildStatus, 'evaluated' | 'built' | 'total'> {
  return {
    ...(evaluated === undefined ? {} : { evaluated }),
    ...(built === undefined ? {} : { built }),
    ...(total === undefined ? {} : { total }),
  };
}

function tried(attempts: number): Pick<BuildStatus, 'attempts'> {
  return attempts === 0 ? {} : { attempts };
}
