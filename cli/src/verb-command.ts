// The verbs of a person: `floe approve`, `retry`, `continue`, `abort`, `rollback`, `reconcile`, each an annotation.
import type { Verb } from '@floe/crds/constants';
import { verbAnnotation } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { Rollout } from '@floe/crds/rollout';
import type { KubeClient } from '@floe/operator/kube/client';
import { isNotFound } from '@floe/operator/kube/error';
import { nixConfigs, rollouts } from '@floe/operator/kube/resource';
import { readFlags } from './flags.ts';
import { InputError } from './input-error.ts';

type Client = Pick<KubeClient, 'get' | 'mergePatch' | 'close' | 'namespace'>;

/** What a verb needs from outside. */
export type VerbPorts = {
  /** Connects to the cluster of a kubeconfig file and a context; undefined: the usual ones. */
  readonly connect: (options: { file: string | undefined; context: string | undefined }) => Promise<Client>;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

export const VERB_HELP: Readonly<Record<Verb, string>> = {
  approve: 'Answers the pause that a Rollout waits in, so that its next step begins.',
  retry: 'Tells the machines that failed in this step again; after an abort or a rollback the run starts anew.',
  continue: 'Accepts the failures of this step and goes on.',
  promote: 'Ends steps, pauses and analysis of the run: everyone may have the revision now, under the budgets.',
  urgent: 'Lets the run pass windows, freezes and consent.',
  abort: 'Tells nobody else; machines that have the revision keep it.',
  rollback: 'Takes the machines of the run back to the stable revision, failed ones first, under the budget.',
  reconcile: 'Looks at the Rollout again now.',
};

/** The help of a verb. */
export function verbHelp(verb: Verb): string {
  const config =
    verb === 'reconcile' ? '\n      --config             NAME is a NixConfig: look at its source again now' : '';
  return `floe ${verb} NAME [-n NAMESPACE]

${VERB_HELP[verb]}

  -n, --namespace NAMESPACE  default: the namespace of the kubeconfig's context${config}
      --context CONTEXT      context of the kubeconfig
      --kubeconfig FILE      default: $KUBECONFIG, then ~/.kube/config`;
}

/** Carries out a verb and returns the sentence that says what was done. */
export async function verbCommand(verb: Verb, argv: readonly string[], ports: VerbPorts): Promise<string> {
  const known = { namespace: 'text', context: 'text', kubeconfig: 'text', config: 'flag' } as const;
  const flags = readFlags(argv, known, { n: 'namespace' });
  const [given, extra] = flags.rest;
  if (given === undefined) {
    throw new InputError({ error: 'no Rollout is named', field: 'NAME', remedy: `floe ${verb} NAME` });
  }
  if (extra !== undefined) {
    throw new InputError({
      error: `${extra} is one name too many`,
      field: extra,
      remedy: 'name one Rollout at a time',
    });
  }
  const name = given.replace(/^(rollouts?(\.floe\.dev)?|nro|nixconfigs?(\.floe\.dev)?|nc)\//, '');
  const client = await ports.connect({ file: flags.text('kubeconfig'), context: flags.text('context') });
  try {
    const key = { namespace: flags.text('namespace') ?? client.namespace, name };
    const isConfig = verb === 'reconcile' && (flags.flag('config') || /^(nixconfigs?(\.floe\.dev)?|nc)\//.test(given));
    return isConfig ? await reconcileConfig(key, client, ports) : await order(verb, key, { client, ports });
  } finally {
    await client.close();
  }
}

type Key = { readonly namespace: string; readonly name: string };

async function order(verb: Verb, key: Key, { client, ports }: { client: Client; ports: VerbPorts }): Promise<string> {
  const rollout = await find(client, key, ports);
  const value = verb === 'approve' ? approval(rollout, key) : ports.now().toISOString();
  await annotate(client, key, { verb, value, signal: ports.signal });
  return sentence(verb, rollout);
}

async function find(client: Client, key: Key, { signal }: VerbPorts): Promise<Rollout> {
  try {
    return await client.get(rollouts, key, { signal });
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw new InputError(
      {
        error: `there is no Rollout ${key.name} in namespace ${key.namespace}`,
        field: 'NAME',
        remedy: `see kubectl get rollouts.floe.dev -n ${key.namespace}, or name another namespace with -n`,
      },
      { cause },
    );
  }
}

async function annotate(
  client: Client,
  key: Key,
  { verb, value, signal }: { verb: Verb; value: string; signal: AbortSignal },
): Promise<void> {
  await client.mergePatch(rollouts, key, { metadata: { annotations: { [verbAnnotation(verb)]: value } } } as object, {
    signal,
  });
}

async function reconcileConfig(key: Key, client: Client, { now, signal }: VerbPorts): Promise<string> {
  const patch: object = { metadata: { annotations: { [verbAnnotation('reconcile')]: now().toISOString() } } };
  const config: NixConfig = await client.mergePatch(nixConfigs, key, patch, { signal });
  return `nixconfig ${config.metadata.name}: its source is looked at again now`;
}

/** `<run>.<step>` of the pause that the Rollout waits in: what is approved is what the person could see. */
function approval({ status }: Rollout, { name }: Key): string {
  const message = status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? 'nothing has begun';
  if (status?.phase !== 'Paused' || status.run === undefined || status.step === undefined) {
    throw new InputError({
      error: `rollout ${name} does not wait for approval: ${status?.phase ?? 'Idle'}, ${message}`,
      field: 'NAME',
      remedy: `see kubectl get rollouts.floe.dev ${name}`,
    });
  }
  return `${status.run}.${status.step.index}`;
}

function sentence(verb: Verb, { metadata, status }: Rollout): string {
  const run = status?.revision === undefined ? 'no run' : `run ${status.run ?? '?'} of ${status.revision.slice(0, 7)}`;
  const where = `rollout ${metadata.name}`;
  switch (verb) {
    case 'approve':
      return `${where}: approved step ${status?.step?.column ?? '?'} of ${run}`;
    case 'retry':
      return `${where}: machines that failed in ${run} are told again`;
    case 'continue':
      return `${where}: the failures of step ${status?.step?.column ?? '?'} of ${run} are accepted`;
    case 'promote':
      return `${where}: ${run} goes on to everyone`;
    case 'urgent':
      return `${where}: ${run} passes windows, freezes and consent`;
    case 'abort':
      return `${where}: ${run} tells nobody else`;
    case 'rollback':
      return `${where}: ${run} is taken back`;
    case 'reconcile':
      return `${where}: is looked at again now`;
    default:
      return verb satisfies never;
  }
}
