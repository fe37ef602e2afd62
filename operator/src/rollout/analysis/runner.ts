// Takes the measurements that plans ask for, some at a time, and keeps their results until they are in a status.
import type { Rollout } from '@floe/crds/rollout';
import type { Logger } from 'pino';
import { keyOf, parseKey } from '../../kube/object.ts';
import type { AnalysisMetrics } from './analysis-metrics.ts';
import { jobName, removeJob } from './job.ts';
import { type MeasurePorts, measure } from './measure.ts';
import type { Measured } from './memory.ts';
import type { MeasurementTask } from './tasks.ts';

/** What the reconciler needs of it. */
export type Measurements = Pick<MeasurementRunner, 'measured' | 'sync' | 'forget'>;

export type RunnerOptions = {
  readonly ports: MeasurePorts;
  readonly metrics: AnalysisMetrics;
  readonly log: Logger;
  /** Wakes the Rollout of that key: a result is there. */
  readonly wake: (key: string) => void;
  /** Ends everything. */
  readonly signal: AbortSignal;
};

/** Measurements that are taken at once. */
const PARALLEL = 16;
/** How long a Job's deletion may take, in ms. */
const REMOVAL_MS = 20_000;

type Entry = {
  readonly rollout: Rollout;
  readonly task: MeasurementTask;
  readonly controller: AbortController;
  result?: Measured;
};

/** Holds nothing that matters: after a restart the same measurements are due again, and Jobs are found by their names. */
export class MeasurementRunner {
  readonly #options: RunnerOptions;
  /** By key of the Rollout, then by task. */
  readonly #entries = new Map<string, Map<string, Entry>>();
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(options: RunnerOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#endAll(), { once: true });
  }

  /** Results that are not known to be stored. */
  measured(key: string): readonly Measured[] {
    return [...(this.#entries.get(key)?.values() ?? [])].flatMap(({ result }) =>
      result === undefined ? [] : [result],
    );
  }

  /**
   * Starts what is due and is not in hand, and ends what no plan asks for any more. To be called once the status that the
   * plan leads to is stored: results that it contains are forgotten then.
   */
  sync(rollout: Rollout, tasks: readonly MeasurementTask[]): void {
    const key = keyOf(rollout);
    const known = this.#entries.get(key) ?? new Map<string, Entry>();
    const wanted = new Map(tasks.map((task) => [idOf(task), task]));
    for (const [id, entry] of known) {
      if (wanted.has(id)) continue;
      known.delete(id);
      this.#drop(entry);
    }
    for (const [id, task] of wanted) {
      if (known.has(id) || this.#options.signal.aborted) continue;
      const entry: Entry = { rollout, task, controller: new AbortController() };
      known.set(id, entry);
      void this.#take(key, entry);
    }
    if (known.size === 0) this.#entries.delete(key);
    else this.#entries.set(key, known);
  }

  /** Ends what is in hand for a Rollout that is gone; its Jobs go with it. */
  forget(key: string): void {
    const { namespace = '', name } = parseKey(key);
    this.#options.metrics.forget({ namespace, rollout: name });
    this.#end(key);
  }

  #end(key: string): void {
    for (const { controller } of this.#entries.get(key)?.values() ?? []) controller.abort();
    this.#entries.delete(key);
  }

  /** Never rejects. */
  async #take(key: string, entry: Entry): Promise<void> {
    const { ports, metrics, log, wake } = this.#options;
    const { rollout, task, controller } = entry;
    await this.#slot();
    const start = performance.now();
    try {
      if (controller.signal.aborted) return;
      const measurement = await measure(rollout, task, { ports, signal: controller.signal });
      if (controller.signal.aborted) return;
      const { run, scope, index, startedAt, number, rules } = task;
      entry.result = { run, scope, index, startedAt, metric: rules.name, number, measurement };
      metrics.measured(rollout.metadata, task, {
        result: measurement.result,
        seconds: (performance.now() - start) / 1000,
      });
      const { result, value, message } = measurement;
      log.debug({ rollout: key, metric: rules.name, result, value, reason: message }, 'measured');
      wake(key);
    } catch (error) {
      if (!controller.signal.aborted)
        log.error({ err: error, rollout: key, metric: task.rules.name }, 'a measurement failed');
    } finally {
      this.#busy -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #slot(): Promise<void> {
    while (this.#busy >= PARALLEL) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy += 1;
  }

  #drop({ rollout, task, controller }: Entry): void {
    controller.abort();
    if (task.rules.source.kind !== 'job') return;
    const { client } = this.#options.ports;
    const key = { namespace: rollout.metadata.namespace, name: jobName(rollout, task) };
    removeJob(key, { client, signal: AbortSignal.timeout(REMOVAL_MS) }).catch((error: unknown) => {
      this.#options.log.warn(
        { err: error, job: key.name },
        'the Job of a measurement is left; it goes with its Rollout',
      );
    });
  }

  /** Jobs go on: the next leader finds them. */
  #endAll(): void {
    for (const key of [...this.#entries.keys()]) this.#end(key);
  }
}

function idOf({ run, scope, index, startedAt, number, rules }: MeasurementTask): string {
  return JSON.stringify([run, scope, index, startedAt, rules.name, number]);
}
