// Metrics of Rollouts: where each run stands, machines by state, budget, runs by outcome and how long they took.
import type { Counts, Rollout, RolloutStatus } from '@floe/crds/rollout';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { timeMs } from '../conditions/moment.ts';
import type { Plan } from './plan-result.ts';
import { WaitingMetric } from './waiting-metric.ts';

const RUN_SECONDS = [10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400];

const OF = ['namespace', 'rollout'] as const;
type Of = (typeof OF)[number];
type Labels = Record<Of, string>;
type Info = 'namespace' | 'rollout' | 'config' | 'revision' | 'phase';
type Outcome = NonNullable<RolloutStatus['history']>[number]['outcome'];

const OUTCOMES: readonly Outcome[] = ['Completed', 'Failed', 'Aborted', 'Superseded', 'RolledBack'];

/** As many series as Rollouts, whatever the size of the fleet. */
export class RolloutMetrics {
  readonly #info: Gauge<Info>;
  readonly #stepIndex: Gauge<Of>;
  readonly #stepTotal: Gauge<Of>;
  readonly #machines: Gauge<Of | 'state'>;
  readonly #limit: Gauge<Of>;
  readonly #unavailable: Gauge<Of>;
  readonly #runs: Counter<Of | 'outcome'>;
  readonly #seconds: Histogram<Of | 'outcome'>;
  readonly #paused: Histogram<Of | 'outcome'>;
  readonly #planSeconds: Histogram;
  readonly #waiting: WaitingMetric;
  /** The labels under which each Rollout stands in the info gauge. */
  readonly #shown = new Map<string, Record<Info, string>>();
  readonly #states = new Map<string, Set<string>>();

  constructor(registry: Registry) {
    const registers = [registry];
    const gauge = (name: string, help: string): Gauge<Of> => new Gauge({ name, help, labelNames: [...OF], registers });
    const duration = (name: string, help: string): Histogram<Of | 'outcome'> =>
      new Histogram({ name, help, labelNames: [...OF, 'outcome'], buckets: RUN_SECONDS, registers });
    this.#info = new Gauge({
      name: 'floe_rollout_info',
      help: 'Always 1; the labels say what each Rollout brings and where it stands.',
      labelNames: [...OF, 'config', 'revision', 'phase'],
      registers,
    });
    this.#stepIndex = gauge('floe_rollout_step_index', 'The step in hand, counted from 0.');
    this.#stepTotal = gauge('floe_rollout_step_total', 'Steps in all, the last batch included.');
    this.#machines = new Gauge({
      name: 'floe_rollout_machines',
      help: 'Selected machines by state: total, updated, updating, failed, offline, pending, unavailable, notBuilt, pendingReboot; with offline Skip, once complete: skipped, returned.',
      labelNames: [...OF, 'state'],
      registers,
    });
    this.#limit = gauge('floe_rollout_budget_limit', 'Machines that may be unavailable at once.');
    this.#unavailable = gauge('floe_rollout_budget_unavailable', 'Machines that take a slot of the budget.');
    this.#runs = new Counter({
      name: 'floe_rollout_runs_total',
      help: 'Runs that ended, by outcome.',
      labelNames: [...OF, 'outcome'],
      registers,
    });
    this.#seconds = duration(
      'floe_rollout_run_duration_seconds',
      'From the start of a run to its end; progressing and paused.',
    );
    this.#paused = duration(
      'floe_rollout_run_paused_seconds',
      'The part of it that was spent in pauses, suspended, outside of windows and in freezes.',
    );
    this.#waiting = new WaitingMetric(registry);
    this.#planSeconds = new Histogram({
      name: 'floe_rollout_plan_duration_seconds',
      help: 'Time that planning one Rollout takes.',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
      registers,
    });
  }

  /** Shows a plan, and counts the runs that ended between the status before and after it. */
  observe({ metadata, spec, status }: Rollout, plan: Plan, planSeconds: number): void {
    const labels: Labels = { namespace: metadata.namespace ?? '', rollout: metadata.name };
    this.#planSeconds.observe(planSeconds);
    const revision = plan.status.revision ?? '';
    this.#show(labels, { ...labels, config: spec.configRef?.name ?? '', revision, phase: plan.phase });
    this.#stepIndex.set(labels, plan.step.index);
    this.#stepTotal.set(labels, plan.step.total);
    this.#limit.set(labels, plan.budget.limit);
    this.#unavailable.set(labels, plan.budget.unavailable);
    const { count = 0, returned = 0 } = plan.status.skipped ?? {};
    this.#setCounts(labels, { ...plan.counts, skipped: count, returned });
    this.#waiting.observe(labels, plan.hold);
    for (const outcome of OUTCOMES) this.#runs.inc({ ...labels, outcome }, 0);
    this.#countEnds(labels, status, plan.status);
  }

  #show(labels: Labels, info: Record<Info, string>): void {
    const key = keyOf(labels);
    const before = this.#shown.get(key);
    if (before !== undefined) this.#info.remove(before);
    this.#info.set(info, 1);
    this.#shown.set(key, info);
  }

  #setCounts(labels: Labels, counts: Counts & { skipped: number; returned: number }): void {
    for (const [state, count] of Object.entries(counts)) this.#machines.set({ ...labels, state }, count);
    this.#states.set(keyOf(labels), new Set(Object.keys(counts)));
  }

  /** A run is counted when its end enters the history: exactly once, as that is stored with the rest. */
  #countEnds(labels: Labels, before: RolloutStatus | undefined, after: RolloutStatus): void {
    const known = new Set(before?.history?.map(({ run, outcome }) => `${run} ${outcome}`));
    for (const entry of after.history ?? []) {
      if (known.has(`${entry.run} ${entry.outcome}`)) continue;
      const { outcome, pausedSeconds = 0 } = entry;
      this.#runs.inc({ ...labels, outcome });
      const seconds = ((timeMs(entry.endedAt) ?? 0) - (timeMs(entry.startedAt) ?? 0)) / 1000;
      this.#seconds.observe({ ...labels, outcome }, Math.max(0, seconds));
      this.#paused.observe({ ...labels, outcome }, pausedSeconds);
    }
  }

  /** Removes all series of a Rollout that is gone. */
  forget(labels: Labels): void {
    const key = keyOf(labels);
    const info = this.#shown.get(key);
    if (info !== undefined) this.#info.remove(info);
    for (const gauge of [this.#stepIndex, this.#stepTotal, this.#limit, this.#unavailable]) gauge.remove(labels);
    for (const state of this.#states.get(key) ?? []) this.#machines.remove({ ...labels, state });
    for (const outcome of OUTCOMES) {
      for (const series of [this.#runs, this.#seconds, this.#paused]) series.remove({ ...labels, outcome });
    }
    this.#waiting.forget(labels);
    this.#shown.delete(key);
    this.#states.delete(key);
  }
}

function keyOf({ namespace, rollout }: Labels): string {
  return `${namespace}/${rollout}`;
}
