// What a person does with one machine: approve its key, retry it, put it on hold and end that.
import { verbAnnotation } from '@floe/crds/constants';
import { durationSeconds } from '@floe/crds/duration';
import type { NixMachine } from '@floe/crds/nix-machine';
import { rfc3339 } from '@floe/crds/rfc3339';
import { nixMachines } from '@floe/operator/kube/resource';
import {
  CLUSTER_HELP,
  type Client,
  type ClusterPorts,
  clusterFlags,
  found,
  MACHINE_KIND,
  oneName,
  withCluster,
} from './cluster.ts';
import { readFlags } from './flags.ts';
import { InputError } from './input-error.ts';

type Key = { readonly namespace: string; readonly name: string };
type Ports = Pick<ClusterPorts, 'now' | 'signal'>;

/** Reads a machine. Throws InputError where there is none of that name. */
export async function findMachine(client: Client, key: Key, signal: AbortSignal): Promise<NixMachine> {
  return found(client.get(nixMachines, key, { signal }), { key, kind: 'NixMachine', plural: 'nixmachines' });
}

/**
 * Writes the key that waits into the spec, as the person who runs it. The write carries the resourceVersion that was
 * read: another key that comes in between is not approved with it.
 */
export async function approveMachine(client: Client, key: Key, { signal }: Ports): Promise<string> {
  const { metadata, status, spec } = await findMachine(client, key, signal);
  const pending = status?.pendingKey;
  if (pending === undefined) {
    const state = spec.identity === undefined ? 'no key waits' : 'it has a key in spec.identity already';
    throw new InputError({
      error: `machine ${key.name}: ${state}`,
      field: 'NAME',
      remedy: `make a join token with kubectl floe token create -n ${key.namespace}, and let the agent come with it`,
    });
  }
  const { resourceVersion } = metadata;
  const patch: object = {
    metadata: resourceVersion === undefined ? {} : { resourceVersion },
    spec: { identity: { sshHostKey: pending.publicKey } },
  };
  await client.mergePatch(nixMachines, key, patch, { signal });
  return `machine ${key.name}: approved ${pending.fingerprint}, which asked first at ${pending.since}`;
}

/** Tells the machine its closure again, also one that failed there. */
export async function retryMachine(client: Client, key: Key, { now, signal }: Ports): Promise<string> {
  const { status } = await findMachine(client, key, signal);
  const rollout = status?.desired?.rollout;
  if (rollout !== undefined) {
    throw new InputError({
      error: `machine ${key.name} is moved by rollout ${rollout}`,
      field: 'NAME',
      remedy: `kubectl floe retry ${rollout} -n ${key.namespace} orders the machines that failed again`,
    });
  }
  const patch: object = { metadata: { annotations: { [verbAnnotation('retry')]: now().toISOString() } } };
  await client.mergePatch(nixMachines, key, patch, { signal });
  return `machine ${key.name}: is told its closure again`;
}

export const HOLD_HELP = `kubectl floe hold MACHINE --reason TEXT [--for DURATION]
kubectl floe unhold MACHINE

Leaves a machine alone: nobody tells it anything until the hold ends. It writes spec.hold.

      --reason TEXT          why, for the people who look
      --for DURATION         90m or 48h for instance; without it until kubectl floe unhold
${CLUSTER_HELP}`;

/** Carries out `floe hold`, and `floe unhold`. Throws InputError on wrong input. */
export async function holdCommand(on: boolean, argv: readonly string[], ports: ClusterPorts): Promise<string> {
  const more = on ? ({ reason: 'text', for: 'text' } as const) : {};
  const flags = readFlags(argv, { ...clusterFlags, ...more }, { n: 'namespace' });
  const usage = on ? 'kubectl floe hold MACHINE --reason TEXT' : 'kubectl floe unhold MACHINE';
  const name = oneName(flags, MACHINE_KIND, usage);
  const hold = on ? holdOf({ reason: flags.text('reason'), length: flags.text('for') }, ports.now()) : null;
  return withCluster(flags, ports, async (client, namespace) => {
    const key = { namespace, name };
    const before = await findMachine(client, key, ports.signal);
    if (hold === null && before.spec.hold === undefined) return `machine ${name}: was not on hold`;
    const patch: object = { spec: { hold: hold === null ? null : { until: null, ...hold } } };
    await client.mergePatch(nixMachines, key, patch, { signal: ports.signal });
    if (hold === null) return `machine ${name}: the hold has ended; its reason was: ${before.spec.hold?.reason}`;
    return `machine ${name}: on hold ${hold.until === undefined ? 'until kubectl floe unhold' : `until ${hold.until}`}: ${hold.reason}`;
  });
}

function holdOf(
  { reason, length }: { reason: string | undefined; length: string | undefined },
  now: Date,
): { reason: string; until?: string } {
  if (reason === undefined || reason.trim() === '') {
    throw new InputError({
      error: 'no reason is given',
      field: '--reason',
      remedy: 'say why: --reason "disk is swapped"',
    });
  }
  const text = reason.slice(0, 256);
  if (length === undefined) return { reason: text };
  const seconds = durationSeconds(length);
  if (seconds === undefined || seconds <= 0) {
    throw new InputError({ error: `${length} is no duration`, field: '--for', remedy: 'give 90m or 48h for instance' });
  }
  return { reason: text, until: rfc3339(now.getTime() + seconds * 1000) };
}
