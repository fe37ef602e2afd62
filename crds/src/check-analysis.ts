// The rules of an analysis that a schema can't say: one source, names that differ, conditions that can be read.
import type { AnalysisStep, BackgroundAnalysis, Metric } from './analysis.ts';
import { parseCondition } from './condition.ts';
import { CACHE_SECRET, SIGNING_KEY_SECRET } from './constants.ts';

/** Where an analysis is wrong, and what to do. */
export type AnalysisProblem = { readonly field: string; readonly message: string };

const SOURCES = ['prometheus', 'http', 'job'] as const;
type Source = (typeof SOURCES)[number];

/** What is wrong with an analysis; `field` names where it stands. A `background` may measure nothing. */
export function analysisProblem(
  analysis: AnalysisStep | BackgroundAnalysis,
  field: string,
  { background }: { background: boolean },
): AnalysisProblem | undefined {
  const own = SOURCES.filter((source) => analysis[source] !== undefined);
  const sources = own.length + (analysis.metrics === undefined ? 0 : 1);
  if (sources > 1 || (sources === 0 && !background)) {
    return { field, message: `set ${background ? 'one' : 'exactly one'} of prometheus, http, job, metrics` };
  }
  const names = new Set<string>();
  for (const [index, metric] of (analysis.metrics ?? []).entries()) {
    const here = `${field}.metrics[${index}]`;
    if (SOURCES.filter((source) => metric[source] !== undefined).length !== 1) {
      return { field: here, message: 'set exactly one of prometheus, http, job' };
    }
    if (names.has(metric.name))
      return { field: `${here}.name`, message: `${metric.name} is there twice; name it otherwise` };
    names.add(metric.name);
    const problem = metricProblem(metric, here);
    if (problem !== undefined) return problem;
  }
  return metricProblem(analysis, field);
}

function metricProblem(metric: Omit<Metric, 'name'>, field: string): AnalysisProblem | undefined {
  for (const name of ['successCondition', 'failureCondition'] as const) {
    const text = metric[name];
    if (text === undefined) continue;
    if (metric.job !== undefined) {
      return { field: `${field}.${name}`, message: 'a Job is judged by how it ends; leave the condition out' };
    }
    const parsed = parseCondition(text);
    if (!parsed.ok) return { field: `${field}.${name}`, message: `at character ${parsed.position}: ${parsed.message}` };
  }
  return sourceProblem(metric, field);
}

function sourceProblem(metric: Partial<Record<Source, unknown>> & Omit<Metric, 'name'>, field: string) {
  const { prometheus, http, job } = metric;
  const url = prometheus === undefined ? http?.url : prometheus.address;
  const where = prometheus === undefined ? `${field}.http.url` : `${field}.prometheus.address`;
  const wrong = url === undefined ? undefined : urlProblem(url);
  if (wrong !== undefined) return { field: where, message: wrong };
  return job === undefined ? undefined : jobProblem(job.spec, `${field}.job.spec`);
}

function urlProblem(text: string): string | undefined {
  const plain = text.replaceAll(/\{\{[A-Za-z]+\}\}/g, 'x');
  if (!URL.canParse(plain)) return `${JSON.stringify(text)} is not a URL; give http://host:port/path`;
  const { username, password } = new URL(plain);
  return username === '' && password === ''
    ? undefined
    : 'holds a user or a password that everyone can read; put them into a Secret and name that in secretRef';
}

function jobProblem(spec: Record<string, unknown>, field: string): AnalysisProblem | undefined {
  const pod = (spec['template'] as { spec?: { containers?: unknown } } | undefined)?.spec;
  if (!Array.isArray(pod?.containers) || pod.containers.length === 0) {
    return { field: `${field}.template.spec.containers`, message: 'name at least one container' };
  }
  const taken = [SIGNING_KEY_SECRET, CACHE_SECRET].find((secret) => mentions(spec, secret, 0));
  return taken === undefined
    ? undefined
    : { field, message: `the Secret ${taken} is Floe's own; a Job of an analysis can't use it` };
}

/** Whether a text stands anywhere in a value. */
function mentions(value: unknown, text: string, depth: number): boolean {
  if (typeof value === 'string') return value === text;
  if (typeof value !== 'object' || value === null || depth > 32) return false;
  return Object.values(value).some((part) => mentions(part, text, depth + 1));
}
