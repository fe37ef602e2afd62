// Decides about the Jobs of a NixConfig: which go, which is waited for, and whether a new one starts.
import { LABEL_REVISION } from '@floe/crds/constants';
import type { NixConfigStatus } from '@floe/crds/nix-config';
import type { RevisionClosures } from '@floe/crds/revision-closures';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { Job, Pod } from '../kube/builtin.ts';
import { type BuildTask, buildJobName, fixedBytes, MAX_REQUEST_BYTES, machinesThatFit } from './build-task.ts';
import { type JobFailure, type JobState, jobState } from './job-state.ts';
import type { MachineBuilds } from './machine-builds.ts';
import { recordName } from './names.ts';
import { pinnedLock } from './pinned-lock.ts';
import type { Snapshot } from './snapshot.ts';
import { problemSentence, type ResolvedSource } from './source.ts';

export type Failure = NonNullable<NonNullable<NixConfigStatus['build']>['failure']>;

/** A Job that shall be deleted, with its ConfigMap. */
export type JobRemoval = {
  readonly name: string;
  readonly uid: string;
  readonly why: 'superseded' | 'ended' | 'suspended';
};

/** What becomes of the newest Job of the revision. */
export type JobDecision =
  | { readonly kind: 'none' }
  /** It runs. */
  | { readonly kind: 'running'; readonly job: Job; readonly trouble: string | undefined }
  /** It ended, or is being deleted; something is still to be seen before anything else happens. */
  | { readonly kind: 'settling'; readonly job: Job }
  /** It failed just now. */
  | { readonly kind: 'failed'; readonly job: Job; readonly failure: JobFailure; readonly endedAt: string };

export type JobsPlan = { readonly decision: JobDecision; readonly remove: readonly JobRemoval[] };

/** Seconds after the end of a Job in which its records must be seen; beyond, the result counts as lost. */
const RECORD_GRACE_SECONDS = 120;
const FIRST_RETRY_SECONDS = 30;
const LONGEST_RETRY_SECONDS = 900;

/** All Jobs of the config, seen against the revision that should be built. */
export function planJobs(snapshot: Snapshot, revision: string, now: Date): JobsPlan {
  const own = (job: Job) => job.metadata.labels?.[LABEL_REVISION] === revision;
  const judged = snapshot.jobs
    .filter(own)
    .toSorted(byAge)
    .map((job) => ({ job, decision: judge(job, snapshot, now) }));
  // One that is still there, if only until it is deleted, counts before one that has failed: no other starts beside it.
  const counts =
    judged.find(({ decision }) => decision.kind === 'running' || decision.kind === 'settling') ??
    judged.find(({ decision }) => decision.kind !== 'none');
  const over = judged.filter(({ decision }) => decision.kind === 'none' || decision.kind === 'failed');
  // Two of one revision can only be there after somebody made one by hand; the older one counts.
  const surplus = judged.filter((item) => item !== counts && !over.includes(item));
  const superseded = [...snapshot.jobs.filter((job) => !own(job)), ...surplus.map(({ job }) => job)];
  const ended = over.map(({ job }) => job);
  return {
    decision: counts?.decision ?? { kind: 'none' },
    remove: [...removeAllJobs(superseded, 'superseded'), ...removeAllJobs(ended, 'ended')],
  };
}

/** The removal of Jobs, but of those that are being deleted already; by name. */
export function removeAllJobs(jobs: readonly Job[], why: JobRemoval['why']): JobRemoval[] {
  return jobs
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => ({ name: metadata.name, uid: metadata.uid ?? '', why }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function judge(job: Job, snapshot: Snapshot, now: Date): JobDecision {
  const { pods, config } = snapshot;
  const deleting = job.metadata.deletionTimestamp !== undefined;
  const state = jobState(job, podsOf(job, pods), now);
  if (state.kind === 'active') {
    return deleting ? { kind: 'settling', job } : { kind: 'running', job, trouble: state.trouble };
  }
  if (isRecorded(job, snapshot)) return { kind: 'none' };
  const build = config.status?.build;
  // The failure was written down already; only the deletion is missing.
  if (build?.job === job.metadata.name && build.phase === 'Failed') return { kind: 'none' };
  return deleting ? { kind: 'settling', job } : ended(job, state, now);
}

function ended(job: Job, state: Exclude<JobState, { kind: 'active' }>, now: Date): JobDecision {
  const endedAt = state.endedAt ?? rfc3339(now);
  if (state.kind === 'failed') return { kind: 'failed', job, failure: state.failure, endedAt };
  if (!(now.getTime() - Date.parse(endedAt) > RECORD_GRACE_SECONDS * 1000)) return { kind: 'settling', job };
  const message = 'the build Job ended well, but the record of its result is not there';
  return { kind: 'failed', job, failure: { reason: 'ResultLost', message, retry: true }, endedAt };
}

/** The pods of a Job, and of no earlier one of the same name. */
export function podsOf(job: Job, pods: readonly Pod[]): Pod[] {
  return pods.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true);
}

/** Whether the result of this very Job is stored, all parts of it. */
function isRecorded({ metadata }: Job, { records, config }: Snapshot): boolean {
  const revision = metadata.labels?.[LABEL_REVISION] ?? '';
  const job = { name: metadata.name, uid: metadata.uid ?? '' };
  const names = new Map(records.map((record) => [record.metadata.name, record.data?.parts ?? 1]));
  const name = (part: number) => recordName(config.metadata.name, revision, job, part);
  const parts = names.get(name(0));
  return parts !== undefined && Array.from({ length: parts }, (_, part) => names.has(name(part))).every(Boolean);
}

/** How a failure is written down. `attempts` counts this one too. */
export function failureRecord(
  failure: JobFailure,
  attempts: number,
  { now, generation }: { now: Date; generation: number | undefined },
): Failure {
  const seconds = Math.min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** Math.min(20, attempts - 1));
  const message = problemSentence({ ...failure, transient: failure.retry }).slice(0, 2000);
  return {
    reason: failure.reason,
    message,
    ...(generation === undefined ? {} : { generation }),
    ...(failure.retry ? { retryAt: rfc3339(new Date(now.getTime() + seconds * 1000)) } : {}),
  };
}

/**
 * The build that is due, if any: the machines without a closure, with `order` those that failed too, and with `lost` all
 * others, since the Job itself finds out which closures the cache still has.
 */
export function dueTask(
  snapshot: Snapshot,
  target: { readonly revision: string; readonly source: ResolvedSource },
  context: {
    builds: MachineBuilds;
    closures: RevisionClosures;
    order: string | undefined;
    lost: boolean;
    attempts: number;
  },
): BuildTask | undefined {
  const { builds, closures, order, lost, attempts } = context;
  const again = order === undefined ? [] : builds.failed.map(({ request }) => request);
  const whole = lost ? builds.built.map(({ request }) => request) : [];
  const wanted = [...builds.missing.map(({ request }) => request), ...again, ...whole].toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  if (wanted.length === 0) return undefined;
  const { spec, metadata } = snapshot.config;
  const lock = pinnedLock(snapshot.records.filter(({ data }) => data?.revision === target.revision));
  const machines = machinesThatFit(wanted, MAX_REQUEST_BYTES - fixedBytes(spec, target.source, lock));
  const first = closures.main === undefined;
  const job = buildJobName(metadata.name, target.revision, { machines, first, attempts, order });
  return { job, revision: target.revision, source: target.source, ...(lock === undefined ? {} : { lock }), machines };
}

function byAge(a: Job, b: Job): number {
  const [left, right] = [a, b].map(({ metadata }) => `${metadata.creationTimestamp ?? ''} ${metadata.name}`);
  return (left ?? '') < (right ?? '') ? -1 : 1;
}
