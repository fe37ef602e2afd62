// Reads how a build Job stands from its conditions and its pods, in words for people.
import { parseJson } from '@floe/crds/json';
import { parseBuildError } from '@floe/crds/parse';
import { spokenSeconds } from '../conditions/spoken.ts';
import type { ContainerStatus, Job, Pod } from '../kube/builtin.ts';

/** Why a Job did not end well. */
export type JobFailure = {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: string;
  /** Whether the same build may succeed later by itself; else it waits for a change or a person. */
  readonly retry: boolean;
};

export type JobState =
  | { readonly kind: 'active'; readonly trouble: string | undefined }
  | { readonly kind: 'complete'; readonly endedAt: string | undefined }
  | { readonly kind: 'failed'; readonly endedAt: string | undefined; readonly failure: JobFailure };

/** Seconds that a Job may be without a pod before that is worth a word. */
const POD_GRACE_SECONDS = 20;

/** How a Job stands. `pods` are those of the Job; `now` only tells how long it is without one. */
export function jobState(job: Job, pods: readonly Pod[], now: Date): JobState {
  const condition = (type: string) => job.status?.conditions?.find((c) => c.type === type && c.status === 'True');
  const complete = condition('Complete');
  if (complete !== undefined) {
    return { kind: 'complete', endedAt: job.status?.completionTime ?? complete.lastTransitionTime };
  }
  const failed = condition('Failed');
  if (failed !== undefined) {
    return { kind: 'failed', endedAt: failed.lastTransitionTime, failure: failureOf(job, pods, failed.reason) };
  }
  return { kind: 'active', trouble: troubleOf(job, pods, now) };
}

function failureOf(job: Job, pods: readonly Pod[], reason: string | undefined): JobFailure {
  if (reason === 'DeadlineExceeded') {
    const limit = spokenSeconds(job.spec.activeDeadlineSeconds ?? 0);
    return {
      reason: 'BuildTimeout',
      message: `the build did not end within ${limit}`,
      field: 'spec.build.timeout',
      remedy: 'raise it, or give the build more CPU in spec.build.resources',
      retry: false,
    };
  }
  for (const pod of pods.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const failure = containerFailure(pod, job);
    if (failure !== undefined) return failure;
    if (pod.status?.reason !== undefined) {
      return {
        reason: 'BuildInterrupted',
        message: `the node ended the build: ${pod.status.message ?? pod.status.reason}`,
        retry: true,
      };
    }
  }
  return {
    reason: 'BuildInterrupted',
    message: 'the pod of the build was lost with its node, or deleted',
    retry: true,
  };
}

/** Exit codes after SIGKILL and SIGTERM. */
const KILLED = 137;
const STOPPED = 143;
const LIMIT = 'spec.build.resources.limits.memory';

function containerFailure(pod: Pod, job: Job): JobFailure | undefined {
  const failed = statusesOf(pod).find(
    ({ state }) => state?.terminated !== undefined && state.terminated.exitCode !== 0,
  );
  const ended = failed?.state?.terminated;
  if (failed === undefined || ended === undefined) return undefined;
  if (ended.reason === 'OOMKilled') return outOfMemory(failed.name, job);
  const reason = FAILED_IN[failed.name] ?? 'BuildFailed';
  const parsed = parseBuildError(parseJson(ended.message ?? ''));
  if (parsed.ok) {
    const { error, ...more } = parsed.value;
    // It was told to stop from outside, and says so in its own words: that is no fault of what it builds.
    if (ended.exitCode === STOPPED) return { reason: 'BuildInterrupted', message: error, ...more, retry: true };
    const retry = !blamesSpec(failed.name, more.field ?? '');
    return { reason, message: error, ...more, retry };
  }
  // Somebody ended it: not memory, and not itself.
  if (ended.exitCode === KILLED || ended.exitCode === STOPPED) {
    const message = `the container ${failed.name} was killed (exit ${ended.exitCode})`;
    return { reason: 'BuildInterrupted', message, retry: true };
  }
  const words = (ended.message ?? '').trim().split('\n').at(-1)?.slice(0, 500);
  const message = `the container ${failed.name} ended with exit code ${ended.exitCode}${words ? `: ${words}` : ''}`;
  return { reason, message, retry: true };
}

/** What is wrong in the spec itself fails the same way each time; servers and disks may recover. */
function blamesSpec(container: string, field: string): boolean {
  if (container === 'build') return field.startsWith('spec.');
  return container === 'fetch' && /^spec\.(attribute|modules|source\.inline)/.test(field);
}

function outOfMemory(name: string, job: Job): JobFailure {
  const container = job.spec.template.spec.initContainers?.find((candidate) => candidate.name === name);
  const limit = container?.resources?.limits?.['memory'];
  const message = `the container ${name} ran out of memory${limit === undefined ? '' : ` (limit ${limit})`}`;
  const reason = 'OutOfMemory';
  if (name !== 'build') return { reason, message, retry: true };
  const remedy = limit === undefined ? 'request more memory, or build on a larger node' : 'raise it';
  return { reason, message, field: LIMIT, remedy, retry: false };
}

const FAILED_IN: Readonly<Record<string, string>> = { fetch: 'FetchFailed', build: 'BuildFailed', push: 'PushFailed' };

/** Statuses in the order in which the containers run. */
function statusesOf({ status }: Pod): ContainerStatus[] {
  const order = ['fetch', 'build', 'push'];
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].toSorted(
    (a, b) => order.indexOf(a.name) - order.indexOf(b.name),
  );
}

/** The container that works now; undefined before the first and after the last. */
export function runningContainer(pod: Pod): string | undefined {
  return statusesOf(pod).find(({ state }) => state?.running !== undefined)?.name;
}

const WAITING: Readonly<Record<string, (message: string) => string>> = {
  ImagePullBackOff: (message) => `the image can't be pulled: ${message}; look at --image of the operator`,
  ErrImagePull: (message) => `the image can't be pulled: ${message}; look at --image of the operator`,
  ErrImageNeverPull: () => 'the image is not on the node and may not be pulled; load it, or change --image-pull-policy',
  InvalidImageName: (message) => `the image has no valid name: ${message}; correct --image of the operator`,
  CreateContainerConfigError: (message) => `a Secret or a ConfigMap is missing: ${message}`,
  CreateContainerError: (message) => `the container can't be made: ${message}`,
};

/** What keeps a Job from getting on; undefined where nothing does. */
function troubleOf(job: Job, pods: readonly Pod[], now: Date): string | undefined {
  const pod = pods.find(({ metadata }) => metadata.deletionTimestamp === undefined);
  if (pod === undefined) {
    const created = Date.parse(job.metadata.creationTimestamp ?? '');
    if (!(now.getTime() - created > POD_GRACE_SECONDS * 1000)) return undefined;
    return `it gets no pod (quota, admission or service account); see: kubectl -n ${job.metadata.namespace} describe job ${job.metadata.name}`;
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return `no node takes the build: ${scheduled.message ?? scheduled.reason ?? 'unschedulable'}; see spec.build.nodeSelector and spec.build.resources`;
  }
  for (const { state } of statusesOf(pod)) {
    const { reason, message } = state?.waiting ?? {};
    const words = reason === undefined ? undefined : WAITING[reason];
    if (words !== undefined) return words(message ?? '');
  }
  return undefined;
}
