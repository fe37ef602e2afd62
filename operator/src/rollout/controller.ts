// Composes the Rollout reconciler: its queue, what wakes it, its metrics.
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { KubeClient } from '../kube/client.ts';
import type { CongestionWindow } from '../kube/congestion-window.ts';
import { runController } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import type { KubeMetrics } from '../kube/metrics.ts';
import { WorkQueue } from '../kube/queue.ts';
import { AnalysisMetrics } from './analysis/analysis-metrics.ts';
import { MeasurementRunner } from './analysis/runner.ts';
import { Observer } from './observe.ts';
import { rolloutReconciler } from './reconcile.ts';
import { RolloutMetrics } from './rollout-metrics.ts';
import type { RolloutStores } from './stores.ts';
import { Waker } from './wake.ts';

export type RolloutControllerOptions = {
  readonly client: Pick<KubeClient, 'mergePatch' | 'get' | 'create' | 'delete'>;
  /** Stores with the index that `RolloutStores` names; their reflectors must have synced. */
  readonly stores: RolloutStores;
  /** Room among all writes of this process to the API server. */
  readonly window: Pick<CongestionWindow, 'run'>;
  readonly registry: Registry;
  readonly metrics?: KubeMetrics | undefined;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Whether analysis may ask addresses of the operator's own host. Default false. */
  readonly analysisAllowLocal?: boolean;
  /** The wall clock; tests bring their own. */
  readonly now?: () => Date;
};

const NAME = 'rollout';
const WORKERS = 4;

/** Reconciles Rollouts until `signal` is aborted; to be called on the leader only. */
export async function startRolloutController(options: RolloutControllerOptions): Promise<void> {
  const { client, stores, window, registry, metrics, events, log, signal } = options;
  const queue = new WorkQueue({ name: NAME, ...(metrics === undefined ? {} : { metrics: metrics.queues }) });
  const observer = new Observer(stores);
  const waker = new Waker(stores, queue, observer);
  const now = options.now ?? (() => new Date());
  const measurements = new MeasurementRunner({
    ports: { client, allowLocal: options.analysisAllowLocal ?? false, now },
    metrics: new AnalysisMetrics(registry),
    log,
    wake: (key) => queue.add(key, { priority: 'user' }),
    signal,
  });
  const reconcile = rolloutReconciler({
    client,
    stores,
    window,
    observer,
    measurements,
    metrics: new RolloutMetrics(registry),
    events,
    now,
    onPlanned: (key, seconds, planned) => waker.planned(key, seconds, planned),
  });
  const sleep = waker.start();
  try {
    await runController({ name: NAME, queue, reconcile, workers: WORKERS, signal, log, metrics });
  } finally {
    sleep();
    observer.close();
  }
}
