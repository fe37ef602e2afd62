// The stages of a run: the steps of the spec as the planner goes through them, the last batch of the rest included.
import { createHash } from 'node:crypto';
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import type { LabelSelector } from '../conditions/label-selector.ts';
import { type MetricRules, metricsOf } from './analysis/metric.ts';
import { parseSize, type Size } from './share.ts';
import { durationMs } from './time.ts';

export type BatchStage = {
  readonly kind: 'batch';
  /** Undefined: all that match. */
  readonly size: Size | undefined;
  readonly selector: LabelSelector | undefined;
  readonly soakMs: number;
  /** The last batch takes everyone who is left, joiners included. */
  readonly last: boolean;
  /** The first batch is the canary: nobody follows before it was tested. */
  readonly first: boolean;
};

export type PauseStage = {
  readonly kind: 'pause';
  /** Undefined: until someone approves. */
  readonly durationMs: number | undefined;
};

export type AnalysisStage = {
  readonly kind: 'analysis';
  readonly metrics: readonly MetricRules[];
};

export type Stage = BatchStage | PauseStage | AnalysisStage;

const REST: Omit<BatchStage, 'first'> = { kind: 'batch', size: undefined, selector: undefined, soakMs: 0, last: true };

/** The stages of a run. `direct` (back to the stable revision) leaves the steps out. */
export function stagesOf(spec: RolloutSpec, direct: boolean): readonly Stage[] {
  const steps = direct ? [] : (spec.steps ?? []);
  const firstBatch = steps.findIndex(({ batch }) => batch !== undefined);
  const stages = steps.map(
    (step, index): Stage => stageOf(step, { first: index === firstBatch, last: index === steps.length - 1 }),
  );
  const end = stages.at(-1);
  if (end?.kind === 'batch' && end.last) return stages;
  return [...stages, { ...REST, first: firstBatch < 0 }];
}

function stageOf({ batch, pause, analysis }: Step, { first, last }: { first: boolean; last: boolean }): Stage {
  if (analysis !== undefined) return { kind: 'analysis', metrics: metricsOf(analysis, 'step') };
  if (batch === undefined) {
    return { kind: 'pause', durationMs: pause?.duration === undefined ? undefined : durationMs(pause.duration, 0) };
  }
  const size = batch.size === undefined ? undefined : parseSize(batch.size);
  const everyone = size === undefined || (size.kind === 'percent' && size.percent === 100);
  return {
    kind: 'batch',
    size: everyone ? undefined : size,
    selector: batch.selector,
    soakMs: durationMs(batch.soak, 0),
    first,
    last: last && everyone && isEmpty(batch.selector),
  };
}

function isEmpty(selector: LabelSelector | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0;
}

/** 16 hex digits over the steps; two specs with the same steps have the same, whatever the order of their keys. */
export function stepsHash(spec: RolloutSpec): string {
  return createHash('sha256')
    .update(canonical(spec.steps ?? []))
    .digest('hex')
    .slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`);
  return `{${fields.join(',')}}`;
}
