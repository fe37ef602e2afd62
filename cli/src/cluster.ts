// How a command reaches its cluster, and what it reads there.
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';
import type { KubeClient } from '@floe/operator/kube/client';
import { isNotFound, isNotServed } from '@floe/operator/kube/error';
import { controllerRevisions, nixConfigs, nixMachines, rollouts } from '@floe/operator/kube/resource';
import type { Snapshot } from '@floe/operator/rollout/snapshot';
import type { Flags } from './flags.ts';
import { InputError } from './input-error.ts';
import type { Objects } from './objects.ts';
import { snapshotOf } from './plan-input.ts';

export type Client = Pick<KubeClient, 'get' | 'list' | 'create' | 'mergePatch' | 'close' | 'namespace'>;

/** What a command needs from outside. */
export type ClusterPorts = {
  /** Connects to the cluster of a kubeconfig file and a context; undefined: the usual ones. */
  readonly connect: (options: { file: string | undefined; context: string | undefined }) => Promise<Client>;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

/** Flags that choose cluster and namespace; `-n` is the short form of `--namespace`. */
export const clusterFlags = { namespace: 'text', context: 'text', kubeconfig: 'text' } as const;

export const CLUSTER_HELP = `  -n, --namespace NAMESPACE  default: the namespace of the kubeconfig's context
      --context CONTEXT      context of the kubeconfig
      --kubeconfig FILE      default: $KUBECONFIG, then ~/.kube/config`;

/** Connects, does something in the namespace that the flags name, and closes the connection. */
export async function withCluster<T>(
  flags: Flags,
  ports: ClusterPorts,
  work: (client: Client, namespace: string) => Promise<T>,
): Promise<T> {
  const client = await ports.connect({ file: flags.text('kubeconfig'), context: flags.text('context') });
  try {
    return await work(client, flags.text('namespace') ?? client.namespace);
  } catch (cause) {
    if (!isNotServed(cause)) throw cause;
    throw new InputError(
      {
        error: 'this cluster does not know the kinds of Floe',
        field: '--context',
        remedy:
          'name the context of a cluster that has Floe, or install it there; an API server that has just started needs a moment',
      },
      { cause },
    );
  } finally {
    await client.close();
  }
}

/** The one name that a command takes, `web` or `rollout/web`. Throws InputError where there is none, or another. */
export function oneName(flags: Flags, kind: RegExp, usage: string): string {
  const [given, extra] = flags.rest;
  if (given === undefined) throw new InputError({ error: 'no name is given', field: 'NAME', remedy: usage });
  if (extra !== undefined) {
    throw new InputError({ error: `${extra} is one name too many`, field: extra, remedy: `one at a time: ${usage}` });
  }
  return given.replace(kind, '');
}

export const ROLLOUT_KIND = /^(rollouts?(\.floe\.dev)?|nro)\//;
export const MACHINE_KIND = /^(nixmachines?(\.floe\.dev)?|machines?|nm)\//;

type Key = { readonly namespace: string; readonly name: string };

/** Reads a Rollout. Throws InputError where there is none of that name. */
export async function findRollout(client: Client, key: Key, signal: AbortSignal): Promise<Rollout> {
  return found(client.get(rollouts, key, { signal }), { key, kind: 'Rollout', plural: 'rollouts.floe.dev' });
}

/** What was asked for; throws InputError where it is not there. */
export async function found<T>(
  asked: Promise<T>,
  { key, kind, plural }: { key: Key; kind: string; plural: string },
): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw new InputError(
      {
        error: `there is no ${kind} ${key.name} in namespace ${key.namespace}`,
        field: 'NAME',
        remedy: `see kubectl get ${plural} -n ${key.namespace}, or name another namespace with -n`,
      },
      { cause },
    );
  }
}

/** Everything of Floe in a namespace. */
export async function objectsIn(client: Client, namespace: string, signal: AbortSignal): Promise<Objects> {
  const options = { namespace, signal };
  const [allRollouts, configs, machines, records] = await Promise.all([
    client.list(rollouts, options),
    client.list(nixConfigs, options),
    client.list(nixMachines, options),
    client.list(controllerRevisions, options),
  ]);
  return { rollouts: allRollouts, configs, machines, records: records.filter(isRecord) };
}

/** Records of others (of a DaemonSet, for instance) hold something else. */
function isRecord(record: { readonly data?: unknown }): record is ControllerRevision {
  const { data } = record;
  return typeof data === 'object' && data !== null && 'config' in data && 'machines' in data;
}

/** What the planner looks at for a Rollout of the cluster. Throws InputError where there is none of that name. */
export async function snapshotIn(client: Client, key: Key, signal: AbortSignal): Promise<Snapshot> {
  const rollout = await findRollout(client, key, signal);
  return snapshotOf(await objectsIn(client, key.namespace, signal), rollout, 'unknown');
}
