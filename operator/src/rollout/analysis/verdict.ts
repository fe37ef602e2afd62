// What the measurements of a metric, and of all metrics together, say; and when each is measured next.
import type { AnalysisPhase } from '@floe/crds/analysis';
import { type MetricMemory, takenOf } from './memory.ts';
import type { MetricRules } from './metric.ts';

/** An error is measured again after so long, in ms, whatever the interval. */
const AFTER_ERROR = 10_000;

/** Worst first. */
const ORDER: readonly AnalysisPhase[] = ['Failed', 'Error', 'Inconclusive', 'Running', 'Successful'];

/** Where a metric stands: its limits first, worst first, then whether it was measured often enough. */
export function metricPhase(rules: MetricRules, metric: MetricMemory): AnalysisPhase {
  if (metric.failed > rules.failureLimit) return 'Failed';
  if (metric.consecutiveErrors > rules.consecutiveErrorLimit) return 'Error';
  if (metric.inconclusive > rules.inconclusiveLimit) return 'Inconclusive';
  const withResult = metric.successful + metric.failed + metric.inconclusive;
  return rules.count !== undefined && withResult >= rules.count ? 'Successful' : 'Running';
}

/** The worst of several phases; of none it is a success. */
export function worstOf(phases: readonly AnalysisPhase[]): AnalysisPhase {
  return ORDER.find((phase) => phases.includes(phase)) ?? 'Successful';
}

export type Judged = { readonly rules: MetricRules; readonly metric: MetricMemory; readonly phase: AnalysisPhase };

/** Each metric of the spec with what is remembered of it. */
export function judged(rules: readonly MetricRules[], metrics: readonly MetricMemory[]): readonly Judged[] {
  return rules.flatMap((rule) => {
    const metric = metrics.find(({ name }) => name === rule.name);
    return metric === undefined ? [] : [{ rules: rule, metric, phase: metricPhase(rule, metric) }];
  });
}

/** A dry run is waited for, so that it is seen, unless it has no end; what it comes to changes nothing. */
export function phaseOf(all: readonly Judged[]): AnalysisPhase {
  return worstOf(all.map(({ rules, phase }) => (rules.dryRun ? dryPhase(rules, phase) : phase)));
}

function dryPhase({ count }: MetricRules, phase: AnalysisPhase): AnalysisPhase {
  return phase === 'Running' && count !== undefined ? 'Running' : 'Successful';
}

/** When the metric is measured next, in ms; undefined once it has ended. */
export function nextAt({ rules, metric, phase }: Judged, startedAt: number): number | undefined {
  if (phase !== 'Running') return undefined;
  const [last] = metric.measurements;
  if (last === undefined || takenOf(metric) === 0) return startedAt + rules.initialDelayMs;
  return last.at + (last.result === 'Error' ? AFTER_ERROR : rules.intervalMs);
}

/** `error-rate failed: 0.12 (successCondition does not hold: result[0] < 0.05)`; the worst metric alone. */
export function verdictText(all: readonly Judged[], phase: AnalysisPhase): string {
  const worst = all.find((one) => one.phase === phase && !one.rules.dryRun);
  if (worst === undefined) return 'analysis failed';
  const { rules, metric } = worst;
  const cause = metric.measurements.find(({ result }) => result === phase) ?? metric.measurements[0];
  const value = cause?.value === undefined ? '' : `: ${cause.value}`;
  const why = cause?.message === undefined ? '' : value === '' ? `: ${cause.message}` : ` (${cause.message})`;
  const how = HOW[phase];
  return `analysis ${rules.name} ${how}${value}${why}`;
}

const HOW: Readonly<Record<AnalysisPhase, string>> = {
  Failed: 'failed',
  Error: 'could not be measured',
  Inconclusive: 'is inconclusive',
  Running: 'runs',
  Successful: 'is successful',
};
