// The verbs of a person: `floe approve`, `retry`, `continue`, `promote` and the like, each an annotation.
import { ANNOTATION_BY, type Verb, verbAnnotation } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { Rollout } from '@floe/crds/rollout';
import { shortRevision } from '@floe/operator/conditions/spoken';
import { nixConfigs, rollouts } from '@floe/operator/kube/resource';
import {
  CLUSTER_HELP,
  type Client,
  type ClusterPorts,
  clusterFlags,
  findRollout,
  found,
  MACHINE_KIND,
  oneName,
  ROLLOUT_KIND,
  withCluster,
} from './cluster.ts';
import { type Flags, readFlags } from './flags.ts';
import { InputError } from './input-error.ts';
import { approveMachine, retryMachine } from './machine-verbs.ts';
import { whoAmI } from './who.ts';

/** What a verb needs from outside. */
export type VerbPorts = ClusterPorts & {
  /** The name of the user in a kubeconfig; undefined: it has none. */
  readonly userOf: (options: { file: string | undefined; context: string | undefined }) => Promise<string | undefined>;
};

const VERB_HELP: Readonly<Record<Verb, string>> = {
  approve: 'Answers the pause that a Rollout waits in, so that its next step begins.',
  retry: 'Tells the machines that failed in this step again; after an abort or a rollback the run starts anew.',
  continue: 'Accepts the failures of this step and goes on.',
  promote: 'Ends steps, pauses and analysis of the run: everyone may have the revision now, under the budgets.',
  urgent: 'Lets the run pass windows, freezes and consent.',
  abort: 'Tells nobody else; machines that have the revision keep it.',
  rollback: 'Takes the machines of the run back to the stable revision, failed ones first, under the budget.',
  reconcile: 'Looks at the Rollout again now.',
};

const MORE_HELP: Partial<Readonly<Record<Verb, string>>> = {
  approve: `
With machine/NAME it approves the SSH host key with which that machine asks to join: status.pendingKey becomes
spec.identity.sshHostKey. Compare the fingerprint that it prints with the one on the machine:
ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
`,
  reconcile: `
With nc/NAME it looks at the source of that NixConfig and into its cache now; what failed or was lost is built again.
`,
  retry: `
With machine/NAME it tells that machine its closure again; for machines of a NixConfig with delivery Immediate.
`,
};

/** The help of a verb. */
export function verbHelp(verb: Verb): string {
  const config = verb === 'reconcile' ? '\n      --config               NAME is a NixConfig, as nc/NAME says it' : '';
  return `kubectl floe ${verb} ROLLOUT [-n NAMESPACE]

${VERB_HELP[verb]}
${MORE_HELP[verb] ?? ''}
${CLUSTER_HELP}${config}`;
}

/** Carries out a verb and returns the sentence that says what was done. */
export async function verbCommand(verb: Verb, argv: readonly string[], ports: VerbPorts): Promise<string> {
  const known = { ...clusterFlags, config: 'flag' } as const;
  const flags = readFlags(argv, known, { n: 'namespace' });
  const given = oneName(flags, /^$/, `kubectl floe ${verb} NAME`);
  return withCluster(flags, ports, (client, namespace) => {
    const named = (kind: RegExp) => ({ namespace, name: given.replace(kind, '') });
    const machine = named(MACHINE_KIND);
    if (MACHINE_KIND.test(given) && verb === 'approve') return approveMachine(client, machine, ports);
    if (MACHINE_KIND.test(given) && verb === 'retry') return retryMachine(client, machine, ports);
    const isConfig = verb === 'reconcile' && (flags.flag('config') || CONFIG_KIND.test(given));
    if (isConfig) return reconcileConfig(named(CONFIG_KIND), client, ports);
    return order(verb, named(ROLLOUT_KIND), { client, ports, flags });
  });
}

const CONFIG_KIND = /^(nixconfigs?(\.floe\.dev)?|nc)\//;

type Key = { readonly namespace: string; readonly name: string };
type Ordering = { readonly client: Client; readonly ports: VerbPorts; readonly flags: Flags };

async function order(verb: Verb, key: Key, { client, ports, flags }: Ordering): Promise<string> {
  const { signal } = ports;
  const rollout = await findRollout(client, key, signal);
  const value = verb === 'approve' ? approval(rollout, key) : ports.now().toISOString();
  const kubeconfigUser = () => ports.userOf({ file: flags.text('kubeconfig'), context: flags.text('context') });
  const who = await whoAmI(client, { kubeconfigUser, signal });
  const by = who === undefined ? {} : { [ANNOTATION_BY]: `${verb} ${value} ${who}` };
  const patch: object = { metadata: { annotations: { [verbAnnotation(verb)]: value, ...by } } };
  await client.mergePatch(rollouts, key, patch, { signal });
  return sentence(verb, rollout);
}

async function reconcileConfig(key: Key, client: Client, { now, signal }: VerbPorts): Promise<string> {
  const patch: object = { metadata: { annotations: { [verbAnnotation('reconcile')]: now().toISOString() } } };
  const config: NixConfig = await found(client.mergePatch(nixConfigs, key, patch, { signal }), {
    key,
    kind: 'NixConfig',
    plural: 'nixconfigs',
  });
  return `nixconfig ${config.metadata.name}: its source and its cache are looked at again now`;
}

/** `<run>.<step>` of the pause that the Rollout waits in: what is approved is what the person could see. */
function approval({ status }: Rollout, { name, namespace }: Key): string {
  const message = status?.conditions?.find(({ type }) => type === 'Ready')?.message ?? 'nothing has begun';
  if (status?.phase !== 'Paused' || status.run === undefined || status.step === undefined) {
    throw new InputError({
      error: `rollout ${name} does not wait for approval: ${status?.phase ?? 'Idle'}, ${message}`,
      field: 'NAME',
      remedy: `see kubectl get rollouts.floe.dev ${name} -n ${namespace}`,
    });
  }
  return `${status.run}.${status.step.index}`;
}

function sentence(verb: Verb, { metadata, status }: Rollout): string {
  const run =
    status?.revision === undefined ? 'no run' : `run ${status.run ?? '?'} of ${shortRevision(status.revision)}`;
  const where = `rollout ${metadata.name}`;
  const said: Readonly<Record<Verb, string>> = {
    approve: `approved step ${status?.step?.column ?? '?'} of ${run}`,
    retry: `machines that failed in ${run} are told again`,
    continue: `the failures of step ${status?.step?.column ?? '?'} of ${run} are accepted`,
    promote: `${run} goes on to everyone`,
    urgent: `${run} passes windows, freezes and consent`,
    abort: `${run} tells nobody else`,
    rollback: `${run} is taken back`,
    reconcile: 'is looked at again now',
  };
  return `${where}: ${said[verb]}`;
}
