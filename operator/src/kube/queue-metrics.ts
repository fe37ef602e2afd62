// The metrics of work queues: what is counted as it happens, and what is computed when it is scraped.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What a scrape asks of a queue. */
export interface MeasuredQueue {
  readonly name: string;
  /** Keys that wait for a worker, without delayed ones. */
  readonly depth: number;
  /** Seconds since each key that is being worked on was taken. */
  runningSeconds(): number[];
}

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1000];

/** Instruments named as client-go's; each queue reports itself with `track`. */
export class QueueMetrics {
  readonly #adds: Counter<'name'>;
  readonly #retries: Counter<'name'>;
  readonly #queued: Histogram<'name'>;
  readonly #worked: Histogram<'name'>;
  readonly #queues = new Set<MeasuredQueue>();

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['name'] as const;
    this.#adds = new Counter({ name: 'workqueue_adds_total', help: 'Keys added.', labelNames, registers });
    this.#retries = new Counter({
      name: 'workqueue_retries_total',
      help: 'Keys added again after a failure.',
      labelNames,
      registers,
    });
    this.#queued = new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'Time a key waits for a worker once it is due.',
      labelNames,
      registers,
      buckets: SECONDS,
    });
    this.#worked = new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'Time a worker takes for a key.',
      labelNames,
      registers,
      buckets: SECONDS,
    });
    this.#gauge(registry, 'workqueue_depth', 'Keys that wait for a worker.', (queue) => queue.depth);
    this.#gauge(registry, 'workqueue_unfinished_work_seconds', 'Sum of the time of all work in hand.', (queue) =>
      queue.runningSeconds().reduce((sum, seconds) => sum + seconds, 0),
    );
    this.#gauge(registry, 'workqueue_longest_running_processor_seconds', 'Time of the longest work in hand.', (queue) =>
      Math.max(0, ...queue.runningSeconds()),
    );
  }

  /** Includes a queue in the scrapes, its counters from 0. */
  track(queue: MeasuredQueue): void {
    this.#queues.add(queue);
    this.#adds.inc({ name: queue.name }, 0);
    this.#retries.inc({ name: queue.name }, 0);
  }

  added(name: string): void {
    this.#adds.inc({ name });
  }

  retried(name: string): void {
    this.#retries.inc({ name });
  }

  taken(name: string, queuedSeconds: number): void {
    this.#queued.observe({ name }, queuedSeconds);
  }

  finished(name: string, workedSeconds: number): void {
    this.#worked.observe({ name }, workedSeconds);
  }

  #gauge(registry: Registry, name: string, help: string, value: (queue: MeasuredQueue) => number): void {
    const queues = this.#queues;
    new Gauge({
      name,
      help,
      labelNames: ['name'],
      registers: [registry],
      collect() {
        for (const queue of queues) {
          this.set({ name: queue.name }, value(queue));
        }
      },
    });
  }
}
