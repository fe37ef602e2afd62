// Carries out the plan of a NixConfig: Jobs, the status, orders, what is pruned. It decides nothing.
import type { NixConfig } from '@floe/crds/nix-config';
import { mergePatchOf } from '../conditions/merge-patch.ts';
import { statusPatch } from '../conditions/patch.ts';
import type { KubeClient, MergePatch } from '../kube/client.ts';
import { isConflict, isNotFound, KubeError } from '../kube/error.ts';
import { keyOf, type ObjectKey } from '../kube/object.ts';
import { configMaps, controllerRevisions, jobs, nixConfigs, nixMachines } from '../kube/resource.ts';
import { buildRequest } from './build-task.ts';
import type { MachineOrder } from './immediate.ts';
import { jobManifest, requestManifest } from './job-manifest.ts';
import type { Plan } from './plan.ts';
import type { JobRemoval } from './plan-jobs.ts';
import type { Snapshot } from './snapshot.ts';
import type { Problem } from './source.ts';
import type { ConfigStores } from './stores.ts';

export const FIELD_MANAGER = 'floe-config';

export type ApplyPorts = {
  readonly client: Pick<KubeClient, 'apply' | 'delete' | 'mergePatch'>;
  readonly stores: ConfigStores;
  readonly now: () => Date;
  readonly signal: AbortSignal;
};

export type StartResult = { readonly kind: 'started' } | { readonly kind: 'problem'; readonly problem: Problem };

/** Creates the ConfigMap and the Job of the plan's build; both have fixed names, so doing it twice does no harm. */
export async function startBuild(snapshot: Snapshot, plan: Plan, ports: ApplyPorts): Promise<StartResult> {
  const { config, settings, preparation } = snapshot;
  if (plan.create === undefined || preparation.kind !== 'ready') return { kind: 'started' };
  const request = buildRequest(config, plan.create, { settings, publicKey: preparation.publicKey });
  if (request.kind === 'problem') return request;
  const options = { fieldManager: FIELD_MANAGER, force: true, signal: ports.signal };
  try {
    await ports.client.apply(configMaps, requestManifest(config, plan.create, request.json), options);
    ports.stores.jobs.put(await ports.client.apply(jobs, jobManifest(config, plan.create, settings), options));
    return { kind: 'started' };
  } catch (error) {
    const problem = refusedJob(error);
    if (problem === undefined) throw error;
    // Without its Job nothing would ever remove it but the end of the config.
    const key = { namespace: config.metadata.namespace, name: plan.create.job };
    await gone(ports.client.delete(configMaps, key, { signal: ports.signal }));
    return { kind: 'problem', problem };
  }
}

/** What the API server says to a manifest that it will never take; other errors are tried again as they are. */
function refusedJob(error: unknown): Problem | undefined {
  if (!(error instanceof KubeError) || (error.status !== 422 && error.status !== 403 && error.status !== 400))
    return undefined;
  return {
    reason: 'JobRefused',
    field: 'spec.build',
    // Without the request that the client puts before what the server said.
    message: `the API server refuses the build Job: ${error.message.replace(/^[A-Z]+ \/\S+: (\d+: )?/, '')}`,
    remedy: 'correct spec.build or the settings of the operator, or allow the Job',
    transient: true,
  };
}

/** Writes the status where it differs; the store has the answer before this returns. Conflicts throw: plan again. */
export async function writeStatus(config: NixConfig, plan: Plan, ports: ApplyPorts): Promise<boolean> {
  const status = mergePatchOf(config.status ?? {}, plan.status);
  if (status === undefined) return false;
  const { resourceVersion } = config.metadata;
  const patch = { metadata: resourceVersion === undefined ? {} : { resourceVersion }, status } as MergePatch<NixConfig>;
  const written = await ports.client.mergePatch(nixConfigs, config.metadata, patch, {
    subresource: 'status',
    fieldManager: FIELD_MANAGER,
    signal: ports.signal,
  });
  ports.stores.nixConfigs.put(written);
  return true;
}

/** Deletes Jobs with their pods and ConfigMaps. The Job goes last: as long as it is there, this is done again. */
export async function removeJobs(config: NixConfig, removals: readonly JobRemoval[], ports: ApplyPorts): Promise<void> {
  const { namespace } = config.metadata;
  for (const { name, uid } of removals) {
    const key = { namespace, name };
    await gone(ports.client.delete(configMaps, key, { signal: ports.signal }));
    await gone(ports.client.delete(jobs, key, { propagationPolicy: 'Background', uid, signal: ports.signal }));
    const stored = ports.stores.jobs.get(keyOf(key));
    if (stored?.metadata.uid === uid) ports.stores.jobs.remove(keyOf(key), stored.metadata.resourceVersion);
  }
}

/** Deletes records that nobody needs. */
export async function prune(config: NixConfig, names: readonly string[], ports: ApplyPorts): Promise<void> {
  for (const name of names) {
    const key: ObjectKey = { namespace: config.metadata.namespace, name };
    await gone(ports.client.delete(controllerRevisions, key, { signal: ports.signal }));
  }
}

/** Tells machines their closure; one that somebody else wrote to meanwhile is told next time. */
export async function tell(orders: readonly MachineOrder[], ports: ApplyPorts): Promise<{ lost: number }> {
  let lost = 0;
  for (const { machine, changes } of orders) {
    const write = statusPatch(machine, changes, ports.now());
    if (write === undefined) continue;
    try {
      const options = { subresource: 'status', fieldManager: FIELD_MANAGER, signal: ports.signal } as const;
      const patch = write.patch as MergePatch<typeof machine>;
      ports.stores.nixMachines.put(await ports.client.mergePatch(nixMachines, machine.metadata, patch, options));
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      lost += 1;
    }
  }
  return { lost };
}

/** A deletion of what is gone already, or has given its name to another, is done. */
async function gone(deletion: Promise<void>): Promise<void> {
  try {
    await deletion;
  } catch (error) {
    if (!isNotFound(error) && !(error instanceof KubeError && error.status === 409)) throw error;
  }
}
