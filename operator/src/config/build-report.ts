// Judges build reports: checks who reports, and stores the result of a build as ControllerRevisions.

import { basename } from 'node:path/posix';
import type { BuildRequest, BuildResult } from '@floe/crds/build';
import { REQUEST_FILE } from '@floe/crds/build-layout';
import { AUDIENCE_BUILDS, LABEL_CONFIG, LABEL_REVISION } from '@floe/crds/constants';
import { parseJson } from '@floe/crds/json';
import type { NixConfig } from '@floe/crds/nix-config';
import { parseBuildRequest, parseBuildResult } from '@floe/crds/parse';
import type { RevisionRecord } from '@floe/crds/revision-record';
import type { ControllerRevision, Job, Pod } from '../kube/builtin.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isNotFound, KubeError } from '../kube/error.ts';
import type { KubeObject, ObjectKey } from '../kube/object.ts';
import { configMaps, controllerRevisions, jobs, nixConfigs, pods, type Resource } from '../kube/resource.ts';
import type { TokenReviewer } from '../kube/token-review.ts';
import { buildRecords, contradiction } from './build-record.ts';
import { canonicalJson } from './canonical.ts';
import { ANNOTATION_ATTRIBUTE, ANNOTATION_SOURCE } from './job-manifest.ts';
import { labelValue } from './names.ts';

export type ReportPorts = {
  readonly client: Pick<KubeClient, 'get' | 'create'>;
  /** Of the audience `floe-builds`. */
  readonly tokens: TokenReviewer;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

/** The answer, as JSON: `{stored}` or `{error, field?, remedy?}`. A client tries again after 5xx only. */
export type ReportAnswer = {
  readonly status: 200 | 400 | 401 | 403 | 409 | 503;
  readonly body:
    | { readonly stored: number }
    | { readonly error: string; readonly field?: string; readonly remedy?: string };
  readonly retryAfterSeconds?: number;
};

/** Someone who may send a result for `namespace`, whose pod it is. */
export type Reporter = {
  readonly kind: 'admitted';
  readonly namespace: string;
  /**
   * Stores the result of the pod's Job. The same Job may report any number of times: what is stored already is not
   * stored again, and never changed. Never throws.
   */
  readonly store: (result: unknown) => Promise<ReportAnswer>;
};

/** A refusal on its way out of the checks. */
class Refusal extends Error {
  readonly answer: ReportAnswer;
  constructor(
    status: ReportAnswer['status'],
    error: string,
    { retryAfterSeconds, ...more }: { field?: string; remedy?: string; retryAfterSeconds?: number } = {},
  ) {
    super(error);
    const retry = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    this.answer = { status, body: { error, ...more }, ...retry };
  }
}

/**
 * Whether the holder of `token` may report: it is the projected token (audience `floe-builds`, without `Bearer`) of a
 * pod of a build Job that is there now. Nothing that it wants to send is looked at before.
 * Never throws: what the API server refuses becomes 503, so that the Job tries again.
 */
export async function admitReporter(
  token: string | undefined,
  from: { readonly address: string },
  ports: ReportPorts,
): Promise<Reporter | (ReportAnswer & { readonly kind: 'refused' })> {
  try {
    const pod = await authenticate(token, from, ports);
    const { namespace = '' } = pod.metadata;
    return {
      kind: 'admitted',
      namespace,
      store: (result) => storeResult(result, pod, ports).catch(answerTo),
    };
  } catch (error) {
    return { kind: 'refused', ...answerTo(error) };
  }
}

/** What is said about a failure. */
function answerTo(error: unknown): ReportAnswer {
  if (error instanceof Refusal) return error.answer;
  const reason = error instanceof Error ? error.message : String(error);
  return {
    status: 503,
    body: { error: `the result could not be stored: ${reason}`, remedy: 'report again in a few seconds' },
  };
}

async function storeResult(value: unknown, pod: Pod, ports: ReportPorts): Promise<ReportAnswer> {
  const parsed = parseBuildResult(value);
  if (!parsed.ok) throw new Refusal(400, parsed.message, { field: parsed.field });
  const result = parsed.value;
  if (result.namespace !== pod.metadata.namespace) {
    const message = `a pod of namespace ${pod.metadata.namespace} may not report for namespace ${result.namespace}`;
    throw new Refusal(403, message, { field: 'namespace' });
  }
  const { job, config } = await ownersOf(pod, result, ports);
  const request = await readRequest(result, ports);
  const wrong = contradiction(request, result);
  if (wrong !== undefined) throw new Refusal(400, wrong.message, { field: wrong.field });
  return { status: 200, body: { stored: await store({ config, job, request, result }, ports) } };
}

/** The pod that a token belongs to; it must be there, and belong to a Job of a NixConfig. */
async function authenticate(
  token: string | undefined,
  from: { readonly address: string },
  ports: ReportPorts,
): Promise<Pod> {
  if (token === undefined || token === '') {
    throw new Refusal(401, 'there is no token', {
      remedy: `send the projected token of the pod, audience ${AUDIENCE_BUILDS}`,
    });
  }
  const answer = await ports.tokens.review(token, from);
  if (answer.kind === 'busy') {
    throw new Refusal(503, 'too many tokens are asked about', { retryAfterSeconds: answer.retryAfterSeconds });
  }
  if (!answer.isValid) throw new Refusal(401, `the token is not valid for the audience ${AUDIENCE_BUILDS}`);
  const { user } = answer.status;
  const [, kind, namespace] = (user?.username ?? '').split(':');
  if (kind !== 'serviceaccount' || namespace === undefined) {
    throw new Refusal(403, `${user?.username ?? 'this user'} may not report: it is no service account`);
  }
  const name = user?.extra?.['authentication.kubernetes.io/pod-name']?.[0];
  const uid = user?.extra?.['authentication.kubernetes.io/pod-uid']?.[0];
  if (name === undefined) throw new Refusal(403, 'the token belongs to no pod');
  const pod = await find(pods, { namespace, name }, ports);
  if (pod === undefined || (uid !== undefined && pod.metadata.uid !== uid)) {
    throw new Refusal(
      403,
      `pod ${name} of namespace ${namespace} is gone; ${user?.username} may not report without it`,
    );
  }
  const isOfJob = pod.metadata.ownerReferences?.some(({ controller, kind: owner }) => controller && owner === 'Job');
  if (isOfJob !== true || pod.metadata.labels?.[LABEL_CONFIG] === undefined) {
    throw new Refusal(403, `pod ${name} of namespace ${namespace} does not belong to a build Job`);
  }
  return pod;
}

/** The Job of the pod and the NixConfig of the Job; each must be what the result says that it is. */
async function ownersOf(pod: Pod, result: BuildResult, ports: ReportPorts): Promise<{ job: Job; config: NixConfig }> {
  const { namespace } = result;
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller && reference.kind === 'Job');
  if (owner?.name !== result.job) {
    throw new Refusal(403, `pod ${pod.metadata.name} does not belong to Job ${result.job}`, { field: 'job' });
  }
  const job = await find(jobs, { namespace, name: owner.name }, ports);
  if (job === undefined || job.metadata.uid !== owner.uid || job.metadata.deletionTimestamp !== undefined) {
    throw new Refusal(409, `Job ${owner.name} is gone: a newer revision has taken its place`);
  }
  for (const [object, what] of [
    [pod, 'pod'],
    [job, 'Job'],
  ] as const) {
    const labels = object.metadata.labels ?? {};
    if (labels[LABEL_CONFIG] !== labelValue(result.config) || labels[LABEL_REVISION] !== result.revision) {
      throw new Refusal(
        403,
        `the ${what} is not labelled with config ${result.config} and revision ${result.revision}`,
      );
    }
  }
  const config = await find(nixConfigs, { namespace, name: result.config }, ports);
  const owned = job.metadata.ownerReferences?.some((reference) => reference.uid === config?.metadata.uid) === true;
  if (config === undefined || config.metadata.deletionTimestamp !== undefined || !owned) {
    throw new Refusal(409, `NixConfig ${result.config} is gone, or another one than the one that started the Job`);
  }
  return { job, config };
}

async function readRequest(result: BuildResult, ports: ReportPorts): Promise<BuildRequest> {
  const map = await find(configMaps, { namespace: result.namespace, name: result.job }, ports);
  const parsed = parseBuildRequest(parseJson(map?.data?.[basename(REQUEST_FILE)] ?? ''));
  if (!parsed.ok) {
    throw new Refusal(409, `the request of Job ${result.job} is gone or was changed`, { field: parsed.field });
  }
  const { config, revision } = parsed.value;
  if (config !== result.config || revision !== result.revision) {
    throw new Refusal(403, `Job ${result.job} was asked for revision ${revision} of ${config}`, { field: 'revision' });
  }
  return parsed.value;
}

type Checked = { config: NixConfig; job: Job; request: BuildRequest; result: BuildResult };

/** Creates the records; returns how many there are. What another report of the same Job stored must be the same. */
async function store({ config, job, request, result }: Checked, ports: ReportPorts): Promise<number> {
  const { uid = '', annotations } = job.metadata;
  const of = (number: number) =>
    buildRecords({
      config,
      job: {
        name: job.metadata.name,
        uid,
        source: annotations?.[ANNOTATION_SOURCE] ?? '',
        attribute: annotations?.[ANNOTATION_ATTRIBUTE] ?? '',
      },
      request,
      result,
      number,
    });
  const [first] = of(Math.floor(ports.now().getTime() / 1000));
  if (first === undefined) return 0;
  // Parts share one number: that of the report that came first, even if it never got to the second part.
  const stored = await createOrGet(first, ports);
  const rest = of(stored.revision);
  for (const record of rest.slice(1)) await createOrGet(record, ports);
  return rest.length;
}

async function createOrGet(
  record: ControllerRevision<RevisionRecord>,
  { client, signal }: ReportPorts,
): Promise<ControllerRevision> {
  try {
    return await client.create<ControllerRevision>(controllerRevisions, record, { signal });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const there = await client.get(controllerRevisions, record.metadata, { signal });
    if (!sameContent(there.data, record.data)) {
      throw new Refusal(409, `Job ${record.data?.job ?? ''} has reported another result before`);
    }
    return there;
  }
}

function sameContent(a: unknown, b: unknown): boolean {
  const [{ builtAt: _a, ...left }, { builtAt: _b, ...right }] = [a, b] as [
    Record<string, unknown>,
    Record<string, unknown>,
  ];
  return canonicalJson(left) === canonicalJson(right);
}

async function find<T extends KubeObject>(
  resource: Resource<T>,
  key: ObjectKey,
  { client, signal }: ReportPorts,
): Promise<T | undefined> {
  try {
    return await client.get(resource, key, { signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    if (error instanceof KubeError && error.status === 403) throw new Refusal(503, error.message);
    throw error;
  }
}
