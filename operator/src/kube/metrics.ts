// The metrics of the machinery, under the names that dashboards for controller-runtime and client-go know.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { QueueMetrics } from './queue-metrics.ts';

/** All instruments of the machinery; made once, in main, and passed to what it composes. */
export interface KubeMetrics {
  readonly requests: Counter<'code' | 'method'>;
  readonly requestSeconds: Histogram<'verb'>;
  readonly reconciles: Counter<'controller' | 'result'>;
  readonly reconcileErrors: Counter<'controller'>;
  readonly terminalErrors: Counter<'controller'>;
  readonly reconcileSeconds: Histogram<'controller'>;
  readonly activeWorkers: Gauge<'controller'>;
  readonly maxWorkers: Gauge<'controller'>;
  readonly leader: Gauge<'name'>;
  readonly lists: Counter<'name'>;
  readonly listSeconds: Histogram<'name'>;
  readonly watches: Counter<'name'>;
  readonly watchEvents: Counter<'name' | 'type'>;
  readonly reflectorErrors: Counter<'name' | 'reason'>;
  readonly stored: Gauge<'name'>;
  readonly droppedEvents: Counter<'reason'>;
  readonly queues: QueueMetrics;
}

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Registers all instruments with `registry`. */
export function createKubeMetrics(registry: Registry): KubeMetrics {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <L extends string>(name: string, help: string, labelNames: L[]): Histogram<L> =>
    new Histogram({ name, help, labelNames, registers, buckets: SECONDS });
  return {
    requests: counter('rest_client_requests_total', 'Requests to the API server by answer; code <error> is none.', [
      'code',
      'method',
    ]),
    requestSeconds: histogram('rest_client_request_duration_seconds', 'Time until an answer is read, by verb.', [
      'verb',
    ]),
    reconciles: counter('controller_runtime_reconcile_total', 'Reconciles by result.', ['controller', 'result']),
    reconcileErrors: counter('controller_runtime_reconcile_errors_total', 'Reconciles that failed.', ['controller']),
    terminalErrors: counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciles that failed and are not tried again.',
      ['controller'],
    ),
    reconcileSeconds: histogram('controller_runtime_reconcile_time_seconds', 'Time a reconcile takes.', ['controller']),
    activeWorkers: gauge('controller_runtime_active_workers', 'Reconciles that run now.', ['controller']),
    maxWorkers: gauge('controller_runtime_max_concurrent_reconciles', 'Reconciles that may run at once.', [
      'controller',
    ]),
    leader: gauge('leader_election_master_status', 'Whether this process holds the lease: 1 or 0.', ['name']),
    lists: counter('reflector_lists_total', 'Lists made, first ones and relists.', ['name']),
    listSeconds: histogram('reflector_list_duration_seconds', 'Time a whole list takes, all pages.', ['name']),
    watches: counter('reflector_watches_total', 'Watches opened.', ['name']),
    watchEvents: counter('reflector_events_total', 'Watch events received, by type.', ['name', 'type']),
    reflectorErrors: counter('reflector_errors_total', 'Lists and watches that failed, by reason.', ['name', 'reason']),
    stored: gauge('reflector_objects', 'Objects held in the store.', ['name']),
    droppedEvents: counter('event_recorder_dropped_total', 'Events that were not sent, by reason.', ['reason']),
    queues: new QueueMetrics(registry),
  };
}
