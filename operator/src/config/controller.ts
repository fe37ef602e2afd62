// Composes the NixConfig reconciler: its queue, what wakes it, the background looks and the progress of builds.
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { KubeClient } from '../kube/client.ts';
import { runController } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import { WorkQueue } from '../kube/queue.ts';
import { fewAtOnce } from '../nix/few-at-once.ts';
import { type RunProgram, runProgram } from '../nix/process.ts';
import { cacheAsker } from './ask-cache.ts';
import { type AskCache, CacheWatch } from './cache-watch.ts';
import { ConfigMetrics } from './config-metrics.ts';
import { RecordReader } from './observe.ts';
import { ProgressWatch } from './progress-watch.ts';
import { secretReader } from './read-secret.ts';
import { configReconciler } from './reconcile.ts';
import { resolveSource } from './resolve-source.ts';
import type { ConfigSettings } from './settings.ts';
import { SourceWatch } from './source-watch.ts';
import type { ConfigStores } from './stores.ts';
import { wakeOnChanges } from './wake.ts';

export type ConfigControllerOptions = {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'apply' | 'delete' | 'mergePatch' | 'logs'>;
  /** Stores with the indexes that `ConfigStores` names; their reflectors must have synced. */
  readonly stores: ConfigStores;
  readonly settings: ConfigSettings;
  readonly registry: Registry;
  readonly metrics?: KubeMetrics | undefined;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** How programs are run; the real way where nothing is said. */
  readonly run?: RunProgram;
  /** How a cache is asked for a closure; the real way where nothing is said. */
  readonly askCache?: AskCache;
  readonly now?: () => Date;
};

const NAME = 'nixconfig';
const DEFAULT_WORKERS = 4;
/** Sources that do not answer hold their place for as long as they may; they must not keep the others waiting. */
const DEFAULT_RESOLVERS = 16;
/** Flakes fetched at once: each may take a good part of the operator's memory. */
const FLAKES_AT_ONCE = 2;
/** Caches asked at once; each look is a few small requests, one after the other. */
const CACHE_LOOKS = 4;

/** Reconciles NixConfigs until `signal` is aborted; to be called on the leader only. */
export async function startConfigController(options: ConfigControllerOptions): Promise<void> {
  const { client, stores, settings, registry, metrics, events, log, signal } = options;
  const now = options.now ?? (() => new Date());
  const queue = new WorkQueue({ name: NAME, ...(metrics === undefined ? {} : { metrics: metrics.queues }) });
  const readSecret = secretReader(client);
  const run = options.run ?? runProgram;
  const runNix = fewAtOnce(run, FLAKES_AT_ONCE);
  const { workDir } = settings;
  const sources = new SourceWatch({
    resolve: (config, until) =>
      resolveSource(config.spec, config.metadata.namespace ?? 'default', {
        run,
        runNix,
        readSecret,
        signal: until,
        workDir,
      }),
    onLooked: (key) => queue.add(key),
    now,
    signal,
    log,
    limit: settings.resolvers ?? DEFAULT_RESOLVERS,
  });
  const caches = new CacheWatch({
    ask: options.askCache ?? cacheAsker(),
    onLooked: (key) => queue.add(key),
    now,
    signal,
    log,
    limit: CACHE_LOOKS,
  });
  const progress = new ProgressWatch({ client, onProgress: (key) => queue.add(key), signal, log });
  const reconcile = configReconciler({
    client,
    stores,
    settings,
    records: new RecordReader(),
    readSecret,
    sources,
    caches,
    progress,
    events,
    metrics: new ConfigMetrics(registry),
    now,
  });
  const sleep = wakeOnChanges(stores, queue);
  try {
    await runController({
      name: NAME,
      queue,
      reconcile,
      workers: settings.workers ?? DEFAULT_WORKERS,
      signal,
      log,
      metrics,
    });
  } finally {
    sleep();
  }
}
