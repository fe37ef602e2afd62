// Runs the Job of a measurement, found again by its name after a restart, and says how it ended.
import { createHash } from 'node:crypto';
import type { JobMetric } from '@floe/crds/analysis';
import type { Rollout } from '@floe/crds/rollout';
import type { Container, Job } from '../../kube/builtin.ts';
import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound, KubeError } from '../../kube/error.ts';
import type { ObjectKey } from '../../kube/object.ts';
import { pause } from '../../kube/pause.ts';
import { jobs } from '../../kube/resource.ts';
import { MeasurementError } from './measurement-error.ts';
import type { MeasurementTask } from './tasks.ts';
import { environmentOf } from './variables.ts';

/** Label with the name of the Rollout. */
export const LABEL_ROLLOUT = 'floe.dev/rollout';

/** Seconds between two looks at a Job. */
const LOOK = 2;
/** What nobody deleted is gone after so long, in seconds. */
const LEFT_OVER = 3600;

export type JobEnd = { readonly result: 'Successful' } | { readonly result: 'Failed'; readonly message: string };

/** Name of the Job of a task: the same one always gets the same. */
export function jobName(rollout: Rollout, { run, scope, index, startedAt, number, rules }: MeasurementTask): string {
  const { uid = '', name } = rollout.metadata;
  const id = createHash('sha256')
    .update(JSON.stringify([uid, run, scope, index, startedAt, rules.name, number]))
    .digest('hex');
  return `${name.slice(0, 40).replace(/[^a-z0-9]+$/, '')}-analysis-${id.slice(0, 12)}`;
}

/** The Job of a task, owned by its Rollout. It has no token unless it names a service account. */
export function jobOf(rollout: Rollout, metric: JobMetric, task: MeasurementTask): Job {
  const { namespace, name, uid = '' } = rollout.metadata;
  const spec = metric.spec as unknown as Job['spec'];
  const pod = spec.template.spec;
  const env = environmentOf(task.variables);
  const withEnv = (container: Container): Container => ({ ...container, env: [...(container.env ?? []), ...env] });
  const labels = { [LABEL_ROLLOUT]: name.slice(0, 63).replace(/[^a-z0-9]+$/, '') };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: jobName(rollout, task),
      ...(namespace === undefined ? {} : { namespace }),
      labels,
      ownerReferences: [
        { apiVersion: rollout.apiVersion, kind: rollout.kind, name, uid, controller: true, blockOwnerDeletion: false },
      ],
    },
    spec: {
      backoffLimit: 0,
      ttlSecondsAfterFinished: LEFT_OVER,
      ...spec,
      activeDeadlineSeconds: Math.ceil(task.rules.timeoutMs / 1000),
      template: {
        ...spec.template,
        metadata: { ...spec.template.metadata, labels: { ...spec.template.metadata?.labels, ...labels } },
        spec: {
          restartPolicy: 'Never',
          ...(pod.serviceAccountName === undefined ? { automountServiceAccountToken: false } : {}),
          ...pod,
          ...(pod.initContainers === undefined ? {} : { initContainers: pod.initContainers.map(withEnv) }),
          containers: pod.containers.map(withEnv),
        },
      },
    },
  };
}

export type JobPorts = { readonly client: Pick<KubeClient, 'get' | 'create' | 'delete'>; readonly signal: AbortSignal };

/** Creates the Job unless it is there, and waits for its end. Throws MeasurementError where it can't say. */
export async function runJob(job: Job, { client, signal }: JobPorts): Promise<JobEnd> {
  const owner = job.metadata.ownerReferences?.[0]?.uid;
  let seen = await created(job, { client, signal });
  if (seen.metadata.ownerReferences?.[0]?.uid !== owner) {
    throw new MeasurementError(`a Job ${job.metadata.name} of somebody else is there; delete it`);
  }
  for (;;) {
    const end = endOf(seen);
    if (end !== undefined) return end;
    await pause(LOOK, signal);
    signal.throwIfAborted();
    seen = await found(job.metadata, { client, signal });
  }
}

async function created(job: Job, { client, signal }: JobPorts): Promise<Job> {
  try {
    return await client.create(jobs, job, { signal });
  } catch (error) {
    if (isAlreadyExists(error)) return await found(job.metadata, { client, signal });
    if (error instanceof KubeError && (error.status === 422 || error.status === 403 || error.status === 400)) {
      // Without the request that the client puts before what the server said.
      const words = error.message.replace(/^[A-Z]+ \/\S+: (\d+: )?/, '');
      throw new MeasurementError(`the API server refuses the Job: ${words}`);
    }
    throw error;
  }
}

async function found(key: ObjectKey, { client, signal }: JobPorts): Promise<Job> {
  try {
    return await client.get(jobs, key, { signal });
  } catch (error) {
    if (isNotFound(error)) throw new MeasurementError(`the Job ${key.name} was deleted before it ended`);
    throw error;
  }
}

function endOf({ metadata, status }: Job): JobEnd | undefined {
  const is = (type: string) => status?.conditions?.find((one) => one.type === type && one.status === 'True');
  if (is('Complete') !== undefined) return { result: 'Successful' };
  const failed = is('Failed');
  if (failed === undefined) return undefined;
  if (failed.reason === 'DeadlineExceeded')
    throw new MeasurementError(`the Job ${metadata.name} took longer than its time limit`);
  return { result: 'Failed', message: `the Job failed: ${failed.message ?? failed.reason ?? 'no reason is given'}` };
}

/** Deletes the Job with its pods; one that is gone is gone. */
export async function removeJob(key: ObjectKey, { client, signal }: JobPorts): Promise<void> {
  try {
    const { namespace, name } = key;
    await client.delete(jobs, { namespace, name }, { propagationPolicy: 'Background', signal });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
