// Metrics of NixConfigs: builds by outcome, their duration, machines without a closure.
import type { NixConfig } from '@floe/crds/nix-config';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Plan } from './plan.ts';
import type { BuildStatus } from './status-build.ts';

const SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200];

/** Labels are namespace and name of the config: there are as many series as configs, whatever the fleet's size. */
export class ConfigMetrics {
  readonly #started: Counter<'namespace' | 'config'>;
  readonly #ended: Counter<'namespace' | 'config' | 'outcome'>;
  readonly #seconds: Histogram<'outcome'>;
  readonly #machines: Gauge<'namespace' | 'config' | 'state'>;
  readonly #ready: Gauge<'namespace' | 'config'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const of = ['namespace', 'config'] as const;
    this.#started = new Counter({
      name: 'floe_builds_started_total',
      help: 'Build Jobs started.',
      labelNames: of,
      registers,
    });
    this.#ended = new Counter({
      name: 'floe_builds_total',
      help: 'Build Jobs that ended, by outcome: built, failed or superseded.',
      labelNames: [...of, 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'floe_build_duration_seconds',
      help: 'Time from the start of a build Job to its end.',
      labelNames: ['outcome'],
      buckets: SECONDS,
      registers,
    });
    this.#machines = new Gauge({
      name: 'floe_config_machines',
      help: 'Machines of a NixConfig by state in its newest revision: built, failed or pending.',
      labelNames: [...of, 'state'],
      registers,
    });
    this.#ready = new Gauge({
      name: 'floe_config_ready',
      help: 'Whether the newest source is built for every machine: 1 or 0.',
      labelNames: of,
      registers,
    });
  }

  /** Counts what a plan, once applied, has done. */
  observe(key: string, before: NixConfig, plan: Plan): void {
    const labels = labelsOf(key);
    if (plan.create !== undefined) this.#started.inc(labels);
    for (const { why } of plan.remove) if (why !== 'ended') this.#ended.inc({ ...labels, outcome: 'superseded' });
    this.#countEnd(labels, before.status?.build, plan.status.build);
    const { total = 0, built = 0, failed = 0 } = plan.status.machines ?? {};
    this.#machines.set({ ...labels, state: 'built' }, built);
    this.#machines.set({ ...labels, state: 'failed' }, failed);
    this.#machines.set({ ...labels, state: 'pending' }, Math.max(0, total - built - failed));
    const ready = plan.status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
    this.#ready.set(labels, ready ? 1 : 0);
  }

  #countEnd(
    labels: { namespace: string; config: string },
    before: BuildStatus | undefined,
    build: BuildStatus | undefined,
  ) {
    if (build === undefined || (before?.phase === build.phase && before.job === build.job)) return;
    const outcome = build.phase === 'Built' ? 'built' : build.phase === 'Failed' ? 'failed' : undefined;
    if (outcome === undefined) return;
    this.#ended.inc({ ...labels, outcome });
    const seconds = (Date.parse(build.finishedAt ?? '') - Date.parse(build.startedAt ?? '')) / 1000;
    if (seconds >= 0) this.#seconds.observe({ outcome }, seconds);
  }

  /** Removes the series of a config that is gone. */
  forget(key: string): void {
    const labels = labelsOf(key);
    this.#started.remove(labels);
    this.#ready.remove(labels);
    for (const outcome of ['built', 'failed', 'superseded']) this.#ended.remove({ ...labels, outcome });
    for (const state of ['built', 'failed', 'pending']) this.#machines.remove({ ...labels, state });
  }
}

function labelsOf(key: string): { namespace: string; config: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, Math.max(0, slash)), config: key.slice(slash + 1) };
}
