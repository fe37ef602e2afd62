// What a Rollout remembers of its analysis: read from its status, written back into it, and results added. Nothing else holds it.
import type { AnalysisPhase, AnalysisStatus, MeasurementResult, MetricStatus } from '@floe/crds/analysis';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import { timeMs } from '../../conditions/moment.ts';
import { clip } from '../wording.ts';

export type Scope = 'step' | 'background';

export type Measurement = {
  readonly result: MeasurementResult;
  readonly value: string | undefined;
  readonly at: number;
  readonly message: string | undefined;
};

/** One metric: counts, and the last measurements, newest first. */
export type MetricMemory = {
  readonly name: string;
  readonly phase: AnalysisPhase;
  readonly successful: number;
  readonly failed: number;
  readonly inconclusive: number;
  readonly errors: number;
  readonly consecutiveErrors: number;
  readonly measurements: readonly Measurement[];
};

/** The analysis of a step, or the one in the background; times in ms. */
export type ScopeMemory = {
  /** Of a step: which one; in the background 0. */
  readonly index: number;
  readonly startedAt: number;
  readonly phase: AnalysisPhase;
  readonly message: string | undefined;
  readonly metrics: readonly MetricMemory[];
};

/** What the built-in check sees. */
export type BuiltInMemory = {
  readonly turnedBad: number;
  /** The first of them, by when they did. */
  readonly machines: readonly string[];
  readonly message: string | undefined;
};

export type AnalysisMemory = {
  readonly step: ScopeMemory | undefined;
  readonly background: ScopeMemory | undefined;
  /** There from the beginning of a run that is watched without being told to. */
  readonly builtIn: BuiltInMemory | undefined;
  /** For what the run failed, where analysis was the reason. */
  readonly cause: string | undefined;
  /** When a person let the run go on last. */
  readonly acceptedAt: number | undefined;
};

/** One measurement that was taken; it counts only where it is the next one of its metric. */
export type Measured = {
  readonly run: string;
  readonly scope: Scope;
  /** Of a step: which one; in the background 0. */
  readonly index: number;
  /** When the analysis began that it belongs to, in ms. */
  readonly startedAt: number;
  readonly metric: string;
  /** How many were taken before it. */
  readonly number: number;
  readonly measurement: Measurement;
};

/** Measurements that a status shows of one metric. */
export const SHOWN = 5;

export const NOTHING: AnalysisMemory = {
  step: undefined,
  background: undefined,
  builtIn: undefined,
  cause: undefined,
  acceptedAt: undefined,
};

/** The memory of a run that begins to be watched. */
export const WATCHED: AnalysisMemory = {
  ...NOTHING,
  builtIn: { turnedBad: 0, machines: [], message: undefined },
};

/** A metric that was not measured yet. */
export function freshMetric(name: string): MetricMemory {
  return {
    name,
    phase: 'Running',
    successful: 0,
    failed: 0,
    inconclusive: 0,
    errors: 0,
    consecutiveErrors: 0,
    measurements: [],
  };
}

/** Measurements taken so far, errors included. */
export function takenOf({ successful, failed, inconclusive, errors }: MetricMemory): number {
  return successful + failed + inconclusive + errors;
}

/** The memory in a status; that of another run is none. */
export function memoryOf({ analysis, run }: RolloutStatus): AnalysisMemory {
  if (analysis === undefined || analysis.run !== run) return NOTHING;
  return {
    step: analysis.step && scopeOf(analysis.step, analysis.step.index),
    background: analysis.background && scopeOf(analysis.background, 0),
    builtIn: builtInOf(analysis),
    cause: analysis.cause,
    acceptedAt: timeMs(analysis.acceptedAt),
  };
}

function builtInOf({ builtIn }: AnalysisStatus): BuiltInMemory | undefined {
  if (builtIn === undefined) return undefined;
  const { turnedBad = 0, machines = [], message } = builtIn;
  return { turnedBad, machines, message };
}

function builtInStatus({ turnedBad, machines, message }: BuiltInMemory): NonNullable<AnalysisStatus['builtIn']> {
  return {
    turnedBad,
    ...(machines.length === 0 ? {} : { machines: [...machines] }),
    ...(message === undefined ? {} : { message: clip(message, 512) }),
  };
}

function scopeOf(status: NonNullable<AnalysisStatus['background']>, index: number): ScopeMemory | undefined {
  const startedAt = timeMs(status.startedAt);
  if (startedAt === undefined) return undefined;
  // A status from elsewhere may lack what this version writes.
  const { phase = 'Running', message, metrics = [] } = status;
  return { index, startedAt, phase, message, metrics: metrics.map(metricOf) };
}

function metricOf({ measurements, ...counts }: MetricStatus): MetricMemory {
  const read = (measurements ?? []).map(({ result, value, at, message }) => ({
    result,
    value,
    at: timeMs(at) ?? 0,
    message,
  }));
  return { ...freshMetric(counts.name), ...counts, measurements: read };
}

/** The memory as the status holds it; undefined where there is nothing to remember. */
export function analysisStatus(memory: AnalysisMemory, run: string): AnalysisStatus | undefined {
  const { step, background, builtIn, cause, acceptedAt } = memory;
  if ([step, background, builtIn, cause, acceptedAt].every((part) => part === undefined)) return undefined;
  const written = ({ startedAt, phase, message, metrics }: ScopeMemory) => ({
    startedAt: rfc3339Exact(startedAt),
    phase,
    ...(message === undefined ? {} : { message: clip(message, 1024) }),
    metrics: metrics.map(metricStatus),
  });
  return {
    run,
    ...(step === undefined ? {} : { step: { index: step.index, ...written(step) } }),
    ...(background === undefined ? {} : { background: written(background) }),
    ...(builtIn === undefined ? {} : { builtIn: builtInStatus(builtIn) }),
    ...(cause === undefined ? {} : { cause: clip(cause, 1024) }),
    ...(acceptedAt === undefined ? {} : { acceptedAt: rfc3339Exact(acceptedAt) }),
  };
}

function metricStatus({ measurements, ...counts }: MetricMemory): MetricStatus {
  const shown = measurements.slice(0, SHOWN).map(({ result, value, at, message }) => ({
    result,
    ...(value === undefined ? {} : { value: clip(value, 256) }),
    at: rfc3339Exact(at),
    ...(message === undefined ? {} : { message: clip(message, 512) }),
  }));
  return { ...counts, ...(shown.length === 0 ? {} : { measurements: shown }) };
}

/** The memory with what was measured since. The order does not matter, and what was counted is not counted again. */
export function withMeasured(memory: AnalysisMemory, run: string, measured: readonly Measured[]): AnalysisMemory {
  let known = memory;
  for (const one of measured.filter(({ run: of }) => of === run).toSorted((a, b) => a.number - b.number)) {
    const scope = known[one.scope];
    if (scope === undefined || scope.index !== one.index || scope.startedAt !== one.startedAt) continue;
    const metrics = scope.metrics.map((metric) =>
      metric.name === one.metric && takenOf(metric) === one.number ? counted(metric, one.measurement) : metric,
    );
    known = { ...known, [one.scope]: { ...scope, metrics } };
  }
  return known;
}

const COUNTED = {
  Successful: 'successful',
  Failed: 'failed',
  Inconclusive: 'inconclusive',
  Error: 'errors',
} as const satisfies Record<MeasurementResult, keyof MetricMemory>;

function counted(metric: MetricMemory, measurement: Measurement): MetricMemory {
  const field = COUNTED[measurement.result];
  return {
    ...metric,
    [field]: metric[field] + 1,
    consecutiveErrors: measurement.result === 'Error' ? metric.consecutiveErrors + 1 : 0,
    measurements: [measurement, ...metric.measurements].slice(0, SHOWN),
  };
}
