// The metrics of an analysis with their defaults filled in, as the planner and the measuring go by them.
import type {
  AnalysisStep,
  BackgroundAnalysis,
  HttpMetric,
  JobMetric,
  Metric,
  PrometheusMetric,
} from '@floe/crds/analysis';
import { durationMs } from '../time.ts';

export type MetricSource =
  | { readonly kind: 'prometheus'; readonly prometheus: PrometheusMetric }
  | { readonly kind: 'http'; readonly http: HttpMetric }
  | { readonly kind: 'job'; readonly job: JobMetric };

/** Times in ms. */
export type MetricRules = {
  readonly name: string;
  readonly source: MetricSource;
  readonly intervalMs: number;
  /** Measurements with a result that it takes; undefined: without end. */
  readonly count: number | undefined;
  readonly initialDelayMs: number;
  readonly timeoutMs: number;
  readonly successCondition: string | undefined;
  readonly failureCondition: string | undefined;
  readonly failureLimit: number;
  readonly inconclusiveLimit: number;
  readonly consecutiveErrorLimit: number;
  readonly dryRun: boolean;
};

const MINUTE = 60_000;
/** Measurements follow each other at least so far apart, in ms: a mistyped interval must not become a flood. */
const CLOSEST = 1000;
/** No measurement may take longer, in ms. */
const LONGEST = 24 * 60 * MINUTE;

/** The metrics of a step (`count` is 1 by default) or of the background (without end by default). */
export function metricsOf(
  analysis: AnalysisStep | BackgroundAnalysis | undefined,
  scope: 'step' | 'background',
): readonly MetricRules[] {
  if (analysis === undefined) return [];
  const count = scope === 'step' ? 1 : undefined;
  const { metrics, prometheus, http, job, ...common } = analysis;
  const own: Omit<Metric, 'name'> = {
    ...(prometheus === undefined ? {} : { prometheus }),
    ...(http === undefined ? {} : { http }),
    ...(job === undefined ? {} : { job }),
  };
  const list: Metric[] = metrics ?? [{ name: sourceOf(own)?.kind ?? '', ...own }];
  return list.flatMap((metric) => {
    const source = sourceOf(metric);
    return source === undefined ? [] : [rulesOf({ ...common, ...metric }, source, count)];
  });
}

function sourceOf({ prometheus, http, job }: Omit<Metric, 'name'>): MetricSource | undefined {
  if (prometheus !== undefined) return { kind: 'prometheus', prometheus };
  if (http !== undefined) return { kind: 'http', http };
  return job === undefined ? undefined : { kind: 'job', job };
}

function rulesOf(metric: Metric, source: MetricSource, count: number | undefined): MetricRules {
  const isJob = source.kind === 'job';
  return {
    name: metric.name,
    source,
    intervalMs: Math.max(CLOSEST, durationMs(metric.interval, MINUTE)),
    count: metric.count ?? count,
    initialDelayMs: durationMs(metric.initialDelay, 0),
    timeoutMs: Math.min(LONGEST, Math.max(CLOSEST, durationMs(metric.timeout, isJob ? 10 * MINUTE : MINUTE / 2))),
    successCondition: isJob ? undefined : metric.successCondition,
    failureCondition: isJob ? undefined : metric.failureCondition,
    failureLimit: metric.failureLimit ?? 0,
    inconclusiveLimit: metric.inconclusiveLimit ?? 0,
    consecutiveErrorLimit: metric.consecutiveErrorLimit ?? 4,
    dryRun: metric.dryRun ?? false,
  };
}
