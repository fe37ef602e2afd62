// Metrics of analysis: measurements by result, and how long they take.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Measurement } from './memory.ts';
import type { MeasurementTask } from './tasks.ts';

const RESULTS = ['Successful', 'Failed', 'Inconclusive', 'Error'] as const;
const LABELS = ['namespace', 'rollout', 'metric', 'result'] as const;

/** As many series as there are metrics in the Rollouts, four times. */
export class AnalysisMetrics {
  readonly #measurements: Counter<(typeof LABELS)[number]>;
  readonly #seconds: Histogram<'source'>;
  /** Names of metrics that were measured, by Rollout. */
  readonly #shown = new Map<string, Set<string>>();

  constructor(registry: Registry) {
    this.#measurements = new Counter({
      name: 'floe_analysis_measurements_total',
      help: 'Measurements of an analysis by result: Successful, Failed, Inconclusive, Error.',
      labelNames: [...LABELS],
      registers: [registry],
    });
    this.#seconds = new Histogram({
      name: 'floe_analysis_measurement_duration_seconds',
      help: 'Time that a measurement takes, by source: prometheus, http, job.',
      labelNames: ['source'],
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900],
      registers: [registry],
    });
  }

  /** Counts a measurement. */
  measured(
    { namespace = '', name }: { readonly namespace?: string; readonly name: string },
    { rules }: MeasurementTask,
    { result, seconds }: { result: Measurement['result']; seconds: number },
  ): void {
    const key = `${namespace}/${name}`;
    const shown = this.#shown.get(key) ?? new Set();
    if (!shown.has(rules.name)) {
      for (const any of RESULTS)
        this.#measurements.inc({ namespace, rollout: name, metric: rules.name, result: any }, 0);
    }
    this.#shown.set(key, shown.add(rules.name));
    this.#measurements.inc({ namespace, rollout: name, metric: rules.name, result });
    this.#seconds.observe({ source: rules.source.kind }, seconds);
  }

  /** Removes the series of a Rollout that is gone. */
  forget({ namespace, rollout }: { readonly namespace: string; readonly rollout: string }): void {
    const key = `${namespace}/${rollout}`;
    for (const metric of this.#shown.get(key) ?? []) {
      for (const result of RESULTS) this.#measurements.remove({ namespace, rollout, metric, result });
    }
    this.#shown.delete(key);
  }
}
