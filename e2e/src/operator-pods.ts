// The operator's replicas under a scenario's hands: who leads, what they say, and ways to end them.
import { run } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';
import { type Installation, SYSTEM } from './installation.ts';

const PODS = `/api/v1/namespaces/${SYSTEM}/pods?labelSelector=app.kubernetes.io/component=operator`;
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${SYSTEM}/leases/floe-operator`;

export type Pod = {
  readonly name: string;
  readonly address: string;
  readonly ready: boolean;
  readonly restarts: number;
};

type PodObject = {
  metadata: { name: string; deletionTimestamp?: string };
  status: { podIP?: string; containerStatuses?: { ready: boolean; restartCount: number }[] };
};

export class OperatorPods {
  readonly #floe: Installation;

  constructor(floe: Installation) {
    this.#floe = floe;
  }

  /** Those that are not on their way out. */
  async list(): Promise<readonly Pod[]> {
    return (await this.#floe.cluster.items<PodObject>(PODS))
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map(({ metadata, status }) => ({
        name: metadata.name,
        address: status.podIP ?? '',
        ready: status.containerStatuses?.every(({ ready }) => ready) ?? false,
        restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
      }));
  }

  /** Name of the pod that holds the Lease; empty where nobody does. */
  async leader(): Promise<string> {
    const { spec } = (await this.#floe.cluster.request('GET', LEASE)) as { spec: { holderIdentity?: string } };
    return spec.holderIdentity ?? '';
  }

  /** Waits until both replicas serve, and one of them leads. */
  async untilReady(replicas = 2): Promise<readonly Pod[]> {
    return waitUntil(
      async () => {
        const pods = await this.list();
        const leader = await this.leader();
        return (
          pods.length === replicas &&
          pods.every(({ ready }) => ready) &&
          pods.some(({ name }) => name === leader) &&
          pods
        );
      },
      {
        what: `${replicas} replicas of the operator to be ready, one of them the leader`,
        everySeconds: 0.5,
        timeoutSeconds: 90,
        explain: () => this.#kubectl('get', 'pods,leases', '-o', 'wide'),
      },
    );
  }

  /** SIGKILL to the operator's process in that pod: nothing is said goodbye to, and the kubelet starts it again. */
  async killProcess(pod: string): Promise<void> {
    const find = `grep -lz '^FLOE_POD_NAME=${pod}$' /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 | xargs -r kill -KILL`;
    await run(await this.#floe.cluster.enter(['sh', '-c', find], 'all'));
  }

  /** The pod is gone for the API server at once, as when its node is lost. */
  async deleteByForce(pod: string): Promise<void> {
    await this.#kubectl('delete', 'pod', pod, '--grace-period=0', '--force', '--wait=false');
  }

  /** What all replicas have logged, each line with its pod; also of the container before, where one was killed. */
  async logs(): Promise<readonly LogLine[]> {
    const pods = await this.list();
    const texts = await Promise.all(
      pods.flatMap(({ name, restarts }) => [
        this.#kubectl('logs', name),
        ...(restarts > 0 ? [this.#kubectl('logs', name, '--previous').catch(unlessForgotten)] : []),
      ]),
    );
    return texts.flatMap((text) =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as LogLine),
    );
  }

  #kubectl(...args: string[]): Promise<string> {
    return this.#floe.cluster.kubectl(['-n', SYSTEM, ...args]);
  }
}

/** The kubelet may have removed the container that ran before in the pod. */
function unlessForgotten(error: unknown): string {
  if (error instanceof Error && /previous terminated container .* not found/.test(error.message)) return '';
  throw error;
}

/** One line of the operator's log; pino's levels: 30 info, 40 warning, 50 error. */
export type LogLine = {
  readonly level: number;
  readonly time: string;
  readonly msg?: string;
  readonly [more: string]: unknown;
};

/** Lines that no operator should have to write: errors, and requests that its rights do not allow. */
export function complaints(lines: readonly LogLine[]): readonly string[] {
  return lines
    .map((line) => ({ line, text: JSON.stringify(line) }))
    .filter(({ line, text }) => line.level >= 50 || /"status":403\b|: 403: |forbidden/i.test(text))
    .map(({ text }) => text);
}
