// A Prometheus beside a cluster that scrapes the pods of Floe, found by their annotations as in a cluster's usual set-up.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../bed/cluster.ts';
import type { Daemon } from '../bed/daemon.ts';
import { ensurePackages } from '../bed/ensure-host.ts';
import type { OnProgress } from '../bed/progress.ts';
import { run } from '../bed/run.ts';
import { waitUntil } from '../bed/wait-until.ts';

const PORT = 9490;
const ANNOTATION = 'prometheus.io/';

export interface PrometheusOptions {
  /** Namespace whose annotated pods are scraped, each second. */
  readonly namespace: string;
  /** Files with alert rules. */
  readonly rules: readonly string[];
  /** More to scrape, with labels that name it. */
  readonly targets?: readonly TargetGroup[];
  readonly onProgress?: OnProgress;
}

/** One time series of an answer; values as Prometheus writes them, `NaN` among them. */
export type Series = {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [number, string])[];
};

export type Rule = {
  readonly name: string;
  readonly query: string;
  readonly health: string;
  readonly lastError?: string;
  readonly state: 'inactive' | 'pending' | 'firing';
};

type Target = { readonly health: string; readonly lastError: string; readonly labels: { readonly pod: string } };
type Pod = {
  metadata: { name: string; namespace: string; annotations?: Record<string, string> };
  status: { podIP?: string };
};

export class Prometheus implements AsyncDisposable {
  /** Where it listens, on the node. */
  static readonly port = PORT;
  readonly #daemon: Daemon;
  readonly #origin: string;

  private constructor(daemon: Daemon, origin: string) {
    this.#daemon = daemon;
    this.#origin = origin;
  }

  /** Starts one and returns when it has scraped every pod. Installs Debian's package where it is missing. */
  static async start(cluster: Cluster, options: PrometheusOptions): Promise<Prometheus> {
    await ensurePackages({ ...(options.onProgress ? { onProgress: options.onProgress } : {}) }, 'metrics');
    const dir = join(cluster.dir, 'prometheus');
    await mkdir(dir, { recursive: true });
    const targets = [...(await podsToScrape(cluster, options.namespace)), ...(options.targets ?? [])];
    await writeFile(join(dir, 'targets.json'), JSON.stringify(targets));
    const config = join(dir, 'prometheus.yml');
    // JSON is YAML.
    await writeFile(config, JSON.stringify(configuration(join(dir, 'targets.json'), options.rules)));
    await run(['promtool', 'check', 'config', config]);
    const daemon = cluster.addDaemon('prometheus', [
      'prometheus',
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      // Pods ask it, too; nothing leads into the cluster from outside.
      `--web.listen-address=0.0.0.0:${PORT}`,
      '--log.level=warn',
    ]);
    await daemon.start();
    const port = await cluster.forwards.open('127.0.0.1', PORT);
    const prometheus = new Prometheus(daemon, `http://127.0.0.1:${port}`);
    await prometheus.#untilScraped(targets.length);
    return prometheus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.stop();
  }

  /** The answer to a query between two times, in seconds since 1970. Throws with Prometheus' words. */
  async queryRange(query: string, range: { readonly from: number; readonly to: number }): Promise<readonly Series[]> {
    const data = await this.#ask<{ result: Series[] }>('query_range', {
      query,
      start: String(range.from),
      end: String(range.to),
      step: '1',
    });
    return data.result;
  }

  /** The values that a label has in the series of `match`. */
  labelValues(label: string, match: string): Promise<readonly string[]> {
    return this.#ask(`label/${label}/values`, { 'match[]': match });
  }

  /** The rules with the result of their last evaluation; those that were not evaluated yet have health `unknown`. */
  async rules(): Promise<readonly Rule[]> {
    const { groups } = await this.#ask<{ groups: { rules: Rule[] }[] }>('rules', {});
    return groups.flatMap(({ rules }) => rules);
  }

  async #untilScraped(count: number): Promise<void> {
    let last: readonly Target[] = [];
    await waitUntil(
      async () => {
        last = (await this.#ask<{ activeTargets: Target[] }>('targets', { state: 'active' })).activeTargets;
        return last.length === count && last.every(({ health }) => health === 'up');
      },
      {
        what: `Prometheus to have scraped ${count} targets`,
        everySeconds: 0.3,
        timeoutSeconds: 30,
        explain: async () =>
          `${last.map(({ labels, health, lastError }) => `${labels.pod} ${health} ${lastError}`).join('\n')}\n${await this.#daemon.logTail()}`,
      },
    );
  }

  async #ask<T>(path: string, parameters: Readonly<Record<string, string>>): Promise<T> {
    const response = await fetch(`${this.#origin}/api/v1/${path}?${new URLSearchParams(parameters)}`, {
      signal: AbortSignal.timeout(20_000),
    });
    const answer = (await response.json()) as { status: string; error?: string; data: T };
    if (answer.status !== 'success')
      throw new Error(`${answer.error ?? response.statusText}: ${parameters['query'] ?? path}`);
    return answer.data;
  }
}

type TargetGroup = { readonly targets: readonly string[]; readonly labels: Readonly<Record<string, string>> };

async function podsToScrape(cluster: Cluster, namespace: string): Promise<readonly TargetGroup[]> {
  const { items } = JSON.parse(await cluster.kubectl(['-n', namespace, 'get', 'pods', '-o', 'json'])) as {
    items: Pod[];
  };
  return items.flatMap(({ metadata, status }) => {
    const {
      [`${ANNOTATION}scrape`]: scrape,
      [`${ANNOTATION}port`]: port,
      [`${ANNOTATION}path`]: path,
    } = metadata.annotations ?? {};
    if (scrape !== 'true' || status.podIP === undefined) return [];
    const labels = { __metrics_path__: path ?? '/metrics', namespace: metadata.namespace, pod: metadata.name };
    return [{ targets: [`${status.podIP}:${port}`], labels }];
  });
}

function configuration(targets: string, rules: readonly string[]): object {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: rules,
    scrape_configs: [
      // The metrics' own label `namespace` is the machines'; it is not replaced by the pod's.
      { job_name: 'pods', honor_labels: true, file_sd_configs: [{ files: [targets] }] },
    ],
  };
}
