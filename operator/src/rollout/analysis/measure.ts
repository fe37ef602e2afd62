// Takes one measurement: asks, judges, and says in a bounded text what came of it. It throws only when it is told to end.
import type { Rollout } from '@floe/crds/rollout';
import { spokenSeconds } from '../../conditions/spoken.ts';
import type { KubeClient } from '../../kube/client.ts';
import { withDeadline } from '../../kube/deadline.ts';
import { clip } from '../wording.ts';
import { type Credentials, credentialsOf, NO_CREDENTIALS } from './credentials.ts';
import { askHttp } from './http.ts';
import { jobOf, runJob } from './job.ts';
import { judge } from './judge.ts';
import { MeasurementError } from './measurement-error.ts';
import type { Measurement } from './memory.ts';
import { askPrometheus } from './prometheus.ts';
import type { MeasurementTask } from './tasks.ts';

export type MeasurePorts = {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'delete'>;
  readonly allowLocal: boolean;
  readonly now: () => Date;
};

/** A Job's own time limit strikes first; this is for what does not keep it. */
const JOB_GRACE_MS = 30_000;
const LONGEST_VALUE = 256;
const LONGEST_MESSAGE = 512;

/** Measures once within the time limit of the metric. */
export async function measure(
  rollout: Rollout,
  task: MeasurementTask,
  { ports, signal }: { ports: MeasurePorts; signal: AbortSignal },
): Promise<Measurement> {
  const { timeoutMs, source } = task.rules;
  const limit = source.kind === 'job' ? timeoutMs + JOB_GRACE_MS : timeoutMs;
  const hidden: string[] = [];
  const told = (part: Pick<Measurement, 'result' | 'value' | 'message'>): Measurement => ({
    result: part.result,
    value: part.value === undefined ? undefined : clip(redacted(part.value, hidden), LONGEST_VALUE),
    message: part.message === undefined ? undefined : clip(redacted(part.message, hidden), LONGEST_MESSAGE),
    at: ports.now().getTime(),
  });
  return await withDeadline(signal, limit / 1000, async (deadline) => {
    try {
      return told(await taken(rollout, task, { ports, signal: deadline.signal, hidden }));
    } catch (error) {
      if (signal.aborted) throw error;
      return told({ result: 'Error', value: undefined, message: wordsOf(error, deadline.expired, timeoutMs) });
    }
  });
}

type Taking = { readonly ports: MeasurePorts; readonly signal: AbortSignal; readonly hidden: string[] };

async function taken(
  rollout: Rollout,
  task: MeasurementTask,
  { ports, signal, hidden }: Taking,
): Promise<Pick<Measurement, 'result' | 'value' | 'message'>> {
  const { source } = task.rules;
  if (source.kind === 'job') {
    const end = await runJob(jobOf(rollout, source.job, task), { client: ports.client, signal });
    return { result: end.result, value: undefined, message: end.result === 'Failed' ? end.message : undefined };
  }
  const { namespace = '' } = rollout.metadata;
  const given = { variables: task.variables, ask: { allowLocal: ports.allowLocal, signal } };
  const credentials = async (ref: { name: string } | undefined): Promise<Credentials> => {
    const read =
      ref === undefined ? NO_CREDENTIALS : await credentialsOf(ref, namespace, { client: ports.client, signal });
    hidden.push(...read.hidden);
    return read;
  };
  const value =
    source.kind === 'prometheus'
      ? await askPrometheus(source.prometheus, {
          ...given,
          credentials: await credentials(source.prometheus.secretRef),
        })
      : await askHttp(source.http, { ...given, credentials: await credentials(source.http.secretRef) });
  const { result, message } = judge(task.rules, value);
  return { result, value: textOf(value), message };
}

function wordsOf(error: unknown, expired: boolean, timeoutMs: number): string {
  if (expired) return `no answer within ${spokenSeconds(timeoutMs / 1000)}`;
  return error instanceof MeasurementError || error instanceof Error ? error.message : 'failed for an unknown reason';
}

/** `0.12`, `[0.12, 3]`, `{"state":"ok"}`. */
export function textOf(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return value === undefined ? 'nothing' : JSON.stringify(value);
  const [only] = value;
  if (value.length === 1 && typeof only === 'number') return textOf(only);
  return `[${value.slice(0, 20).map(textOf).join(', ')}${value.length > 20 ? ', …' : ''}]`;
}

function redacted(text: string, hidden: readonly string[]): string {
  return hidden.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
}
