// `floe token create`: makes a join token for machines whose SSH host key nobody has written down yet.
import { durationSeconds } from '@floe/crds/duration';
import { joinObjectName, joinTokenHash, LABEL_JOIN, newJoinToken } from '@floe/crds/join-token';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { KubeClient } from '@floe/operator/kube/client';
import { secrets } from '@floe/operator/kube/resource';
import { readFlags } from './flags.ts';
import { InputError } from './input-error.ts';

type Client = Pick<KubeClient, 'create' | 'close' | 'namespace'>;

/** What the command needs from outside. */
export type TokenPorts = {
  /** Connects to the cluster of a kubeconfig file and a context; undefined: the usual ones. */
  readonly connect: (options: { file: string | undefined; context: string | undefined }) => Promise<Client>;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

export const TOKEN_HELP = `kubectl floe token create [-n NAMESPACE] [--machine NAME | --selector KEY=VALUE,…] [--uses N] [--ttl DURATION]

Makes a join token and prints it; it is shown this once. A machine whose NixMachine has no spec.identity shows it to make
its SSH host key visible in status.pendingKey, where a person approves it: kubectl floe approve machine/NAME. The token lets
nobody in by itself. On the machine: services.floe-agent.joinTokenFile.

  -n, --namespace NAMESPACE  of the machines; default: the namespace of the kubeconfig's context
      --machine NAME         for this NixMachine alone
      --selector LABELS      for machines that have these labels
      --uses N               for how many machines; default 1
      --ttl DURATION         how long it holds, 90m or 24h for instance; default 24h, at most 2160h
      --context CONTEXT      context of the kubeconfig
      --kubeconfig FILE      default: $KUBECONFIG, then ~/.kube/config

Take one back with: kubectl delete secret floe-join-… ; list them with: kubectl get secrets -l ${LABEL_JOIN}=true`;

const DEFAULT_TTL = '24h';
const LONGEST_SECONDS = 90 * 86_400;
const MOST_USES = 10_000;
const LABELS = /^[A-Za-z0-9][A-Za-z0-9./_-]*=[A-Za-z0-9._-]*(,[A-Za-z0-9][A-Za-z0-9./_-]*=[A-Za-z0-9._-]*)*$/;

/** Carries out `floe token …` and returns what to print. */
export async function tokenCommand(argv: readonly string[], ports: TokenPorts): Promise<string> {
  const known = {
    namespace: 'text',
    machine: 'text',
    selector: 'text',
    uses: 'text',
    ttl: 'text',
    context: 'text',
    kubeconfig: 'text',
  } as const;
  const flags = readFlags(argv, known, { n: 'namespace' });
  const [verb, extra] = flags.rest;
  if (verb !== 'create' || extra !== undefined) {
    throw wrong('COMMAND', `${extra ?? verb ?? 'nothing'} is not known`, 'kubectl floe token create');
  }
  const machine = flags.text('machine');
  const selector = flags.text('selector');
  if (machine !== undefined && selector !== undefined) {
    throw wrong('--selector', 'a token is for one machine or for labels', 'leave --machine or --selector out');
  }
  if (selector !== undefined && !LABELS.test(selector)) {
    throw wrong('--selector', `${selector} are no labels`, 'write key=value, several with a comma between');
  }
  const uses = usesOf(flags.text('uses'));
  const expiresAt = expiry(flags.text('ttl') ?? DEFAULT_TTL, ports.now());
  const { name, token } = newJoinToken();
  const fields = { sha256: joinTokenHash(token), expiresAt, uses: `${uses}`, ...only({ machine, selector }) };
  const client = await ports.connect({ file: flags.text('kubeconfig'), context: flags.text('context') });
  try {
    const namespace = flags.text('namespace') ?? client.namespace;
    await client.create(
      secrets,
      {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'Opaque',
        metadata: { name: joinObjectName(name), namespace, labels: { [LABEL_JOIN]: 'true' } },
        immutable: true,
        data: Object.fromEntries(
          Object.entries(fields).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
        ),
      },
      { signal: ports.signal },
    );
  } finally {
    await client.close();
  }
  return token;
}

function only(fields: { machine: string | undefined; selector: string | undefined }): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined),
  );
}

function usesOf(text = '1'): number {
  const uses = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (uses < 1 || uses > MOST_USES)
    throw wrong('--uses', `${text} is no count`, `give a number from 1 to ${MOST_USES}`);
  return uses;
}

function expiry(ttl: string, now: Date): string {
  const seconds = durationSeconds(ttl);
  if (seconds === undefined || seconds <= 0 || seconds > LONGEST_SECONDS) {
    throw wrong('--ttl', `${ttl} is no time up to 2160h`, 'write 90m or 24h for instance');
  }
  return rfc3339(now.getTime() + seconds * 1000);
}

function wrong(field: string, error: string, remedy: string): InputError {
  return new InputError({ error, field, remedy });
}
