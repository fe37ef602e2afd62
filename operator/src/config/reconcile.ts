// Reconciles one NixConfig: observe, plan, apply, status.
import type { NixConfig } from '@floe/crds/nix-config';
import { parseNixConfig } from '@floe/crds/parse';
import type { KubeClient } from '../kube/client.ts';
import type { Outcome, Reconcile } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import { keyOf } from '../kube/object.ts';
import { type ApplyPorts, prune, removeJobs, startBuild, tell, writeStatus } from './apply.ts';
import type { CacheWatch } from './cache-watch.ts';
import { isOfJob } from './config-events.ts';
import type { ConfigMetrics } from './config-metrics.ts';
import { type ObservePorts, observe } from './observe.ts';
import { type Plan, planConfig } from './plan.ts';
import { podsOf } from './plan-jobs.ts';
import { prepareBuild } from './prepare-build.ts';
import type { ProgressWatch } from './progress-watch.ts';
import type { ReadSecret } from './resolve-source.ts';
import type { Snapshot } from './snapshot.ts';
import type { SourceWatch } from './source-watch.ts';

export type ReconcilePorts = Omit<ObservePorts, 'sourceOf' | 'cacheOf' | 'progressOf'> & {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'apply' | 'delete' | 'mergePatch'>;
  readonly readSecret: ReadSecret;
  readonly sources: SourceWatch;
  readonly caches: CacheWatch;
  readonly progress: ProgressWatch;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly metrics: ConfigMetrics;
  readonly now: () => Date;
};

const UNKNOWN = { looking: false, failures: 0 };

/** The reconcile function of NixConfigs. */
export function configReconciler(ports: ReconcilePorts): Reconcile {
  return async (key, { signal, log }): Promise<Outcome> => {
    const config = ports.stores.nixConfigs.get(key);
    if (config === undefined || config.metadata.deletionTimestamp !== undefined) {
      ports.sources.forget(key);
      ports.caches.forget(key);
      ports.progress.forget(key);
      ports.metrics.forget(key);
      return { kind: 'done' };
    }
    const context = { ports, signal, apply: { client: ports.client, stores: ports.stores, now: ports.now, signal } };
    const { plan, planned } = await decide(snapshotOf(key, config, ports), context);
    if (plan.create !== undefined) {
      log.info({ job: plan.create.job, machines: plan.create.machines.length }, 'started a build');
    }
    if (plan.look) ports.sources.look(key, config);
    if (plan.lookAtCache !== undefined) ports.caches.look(key, plan.lookAtCache);
    const lost = await carryOut(config, plan, context);
    ports.progress.follow(key, buildsOf(planned));
    const afterSeconds = lost > 0 ? 1 : plan.nextCheckSeconds;
    return afterSeconds === undefined ? { kind: 'done' } : { kind: 'again', afterSeconds };
  };
}

/** Writes and deletes; returns how many orders to machines lost a race. */
async function carryOut(config: NixConfig, plan: Plan, { ports, apply }: Context): Promise<number> {
  // What a failed Job says is in the status before the Job goes, so that nothing is lost in between.
  const changed = await writeStatus(config, plan, apply).catch((error: unknown) => {
    // The next plan finds the Job that this one started and would not tell of it.
    if (plan.create !== undefined) {
      for (const event of plan.events.filter(isOfJob)) ports.events.event(config, event);
    }
    throw error;
  });
  if (changed) for (const event of plan.events) ports.events.event(config, event);
  ports.metrics.observe(keyOf(config), config, plan);
  await removeJobs(config, plan.remove, apply);
  const { lost } = await tell(plan.orders, apply);
  await prune(config, plan.prune, apply);
  return lost;
}

function snapshotOf(key: string, config: NixConfig, ports: ReconcilePorts): Snapshot {
  const sourceOf = (name: string, given: NixConfig) =>
    parseNixConfig({ ...given, status: undefined }).ok ? ports.sources.view(name, given) : UNKNOWN;
  return observe(config, {
    ...ports,
    sourceOf,
    cacheOf: (name) => ports.caches.view(name),
    progressOf: () => ports.progress.progressOf(key),
  });
}

type Context = { ports: ReconcilePorts; apply: ApplyPorts; signal: AbortSignal };

/** The plan that can be carried out: a build is prepared and started first, since that may turn out to be impossible. */
async function decide(
  snapshot: Snapshot,
  { ports, apply, signal }: Context,
): Promise<{ plan: Plan; planned: Snapshot }> {
  const first = planConfig(snapshot, ports.now());
  if (!first.prepare) return { plan: first, planned: snapshot };
  const { preparation } = await prepareBuild(snapshot.config, {
    client: ports.client,
    readSecret: ports.readSecret,
    signal,
  });
  const prepared = { ...snapshot, preparation };
  const plan = planConfig(prepared, ports.now());
  // A Job of an older revision goes first: its pod may hold what the new one needs.
  if (plan.create !== undefined) {
    await removeJobs(
      snapshot.config,
      plan.remove.filter(({ why }) => why === 'superseded'),
      apply,
    );
  }
  const started = await startBuild(prepared, plan, apply);
  if (started.kind === 'started') return { plan, planned: prepared };
  const refused = { ...snapshot, preparation: started };
  return { plan: planConfig(refused, ports.now()), planned: refused };
}

/** The Jobs of the config that have a pod to follow. */
function buildsOf({ jobs, pods }: Snapshot) {
  return jobs.flatMap((job) => {
    const pod = podsOf(job, pods).find(({ metadata }) => metadata.deletionTimestamp === undefined);
    return pod === undefined || job.metadata.deletionTimestamp !== undefined ? [] : [{ job, pod }];
  });
}
