// How far the analysis of a run is at the step in hand: what begins, what the measurements say, and what is due.
import type { RolloutSpec } from '@floe/crds/rollout';
import type { Batch } from '../batch.ts';
import type { Run } from '../run.ts';
import { goesOn } from '../run.ts';
import type { Stage } from '../stage.ts';
import type { Member } from '../standing.ts';
import { type BuiltInScope, builtIn, isWatched } from './built-in.ts';
import { type AnalysisMemory, freshMetric, type Scope, type ScopeMemory, takenOf } from './memory.ts';
import { type MetricRules, metricsOf } from './metric.ts';
import { type Judged, judged, nextAt, phaseOf, verdictText } from './verdict.ts';

/** What analysis says to the run. */
export type AnalysisVerdict =
  /** Nothing is in the way. */
  | { readonly kind: 'none' }
  /** The step in hand is measured still. */
  | { readonly kind: 'running' }
  /** The step in hand is an analysis, and went well. */
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly scope: Scope | 'builtIn'; readonly message: string }
  /** A person is to decide. */
  | { readonly kind: 'inconclusive'; readonly scope: Scope; readonly message: string };

/** A metric that is measured, and when next. */
export type Upcoming = {
  readonly scope: Scope;
  readonly index: number;
  readonly startedAt: number;
  readonly rules: MetricRules;
  /** Measurements taken before it. */
  readonly number: number;
  readonly at: number;
};

export type AnalysisProgress = {
  readonly memory: AnalysisMemory;
  readonly verdict: AnalysisVerdict;
  readonly upcoming: readonly Upcoming[];
};

export type ProgressInput = {
  readonly spec: RolloutSpec;
  readonly stage: Stage;
  readonly members: readonly Member[];
  readonly batch: Batch | undefined;
  readonly now: number;
};

/** Looks at the analysis of a run. Once the run does not go on, or was promoted, nothing changes any more. */
export function analysisProgress(run: Run, { spec, stage, members, batch, now }: ProgressInput): AnalysisProgress {
  if (!goesOn(run) || run.promoted) return { memory: run.analysis, verdict: { kind: 'none' }, upcoming: [] };
  const step = stage.kind === 'analysis' ? stepScope(run, stage.metrics) : undefined;
  const background = backgroundScope(run, spec, now);
  const checked = checkedScope(run, spec, stage);
  const check =
    checked === undefined
      ? undefined
      : builtIn(members, {
          scope: checked,
          successThreshold: spec.successThreshold ?? 100,
          acceptedAt: run.analysis.acceptedAt,
          batch,
          now,
        });
  const found = { step, background, builtIn: check?.failure, stage };
  const failure = failureOf(found);
  // With `Continue` a step is left behind; what fails beside it is counted, and told, and in nobody's way.
  const passedOver = spec.onFailure === 'Continue' && failure?.scope !== 'step';
  const verdict = failure !== undefined && !passedOver ? failure : otherVerdict(found);
  return {
    memory: {
      ...run.analysis,
      step: step?.memory ?? run.analysis.step,
      background: background?.memory,
      // A run that is not watched from its beginning shows nothing once its analysis is over.
      builtIn: run.analysis.builtIn === undefined && spec.analysis === undefined ? undefined : check?.memory,
      cause: failure?.message ?? run.analysis.cause,
    },
    verdict,
    upcoming:
      verdict.kind === 'inconclusive' ? [] : [...upcomingOf('step', step), ...upcomingOf('background', background)],
  };
}

type Looked = { readonly memory: ScopeMemory; readonly metrics: readonly Judged[]; readonly text: string };

/** The step's analysis begins with the step; what is remembered of another one, or of an earlier time, is not it. */
function stepScope(run: Run, rules: readonly MetricRules[]): Looked | undefined {
  const { index, startedAt } = run.step;
  if (startedAt === undefined) return undefined;
  const known = run.analysis.step;
  const isKnown = known?.index === index && known.startedAt === startedAt;
  return looked(rules, isKnown ? known.metrics : [], { index, startedAt });
}

function backgroundScope(run: Run, spec: RolloutSpec, now: number): Looked | undefined {
  const rules = metricsOf(spec.analysis, 'background');
  const known = run.analysis.background;
  const isDue = run.step.index >= (spec.analysis?.startingStep ?? 0);
  if (rules.length === 0 || run.direct || !(isDue || known !== undefined)) return undefined;
  return looked(rules, known?.metrics ?? [], { index: 0, startedAt: known?.startedAt ?? now });
}

function looked(
  rules: readonly MetricRules[],
  known: ScopeMemory['metrics'],
  { index, startedAt }: { index: number; startedAt: number },
): Looked {
  const metrics = judged(
    rules,
    rules.map(({ name }) => known.find((metric) => metric.name === name) ?? freshMetric(name)),
  );
  const phase = phaseOf(metrics);
  const text = verdictText(metrics, phase);
  const bad = phase === 'Failed' || phase === 'Error' || phase === 'Inconclusive';
  return {
    memory: {
      index,
      startedAt,
      phase,
      message: bad ? text : undefined,
      metrics: metrics.map(({ metric, phase: own }) => ({ ...metric, phase: own })),
    },
    metrics,
    text,
  };
}

/**
 * How far the built-in check looks: all the time in each step that is an analysis, and with `spec.analysis`, also where
 * that is empty; else soon after each update, in a run that is watched from its beginning. Undefined: not at all.
 */
function checkedScope(run: Run, spec: RolloutSpec, stage: Stage): BuiltInScope | undefined {
  const { analysis } = spec;
  if (analysis?.builtIn === false || run.direct) return undefined;
  const isDue = analysis !== undefined && run.step.index >= (analysis.startingStep ?? 0);
  if (stage.kind === 'analysis' || isDue) return 'always';
  return run.analysis.builtIn !== undefined && isWatched(spec) ? 'soon' : undefined;
}

type Found = {
  readonly step: Looked | undefined;
  readonly background: Looked | undefined;
  readonly builtIn: string | undefined;
  readonly stage: Stage;
};

type Failure = Extract<AnalysisVerdict, { readonly kind: 'failed' }>;

/** The first that failed: the step, the background, then what is built in. */
function failureOf({ step, background, builtIn }: Found): Failure | undefined {
  for (const [scope, looked] of scopesOf(step, background)) {
    const phase = looked?.memory.phase;
    if (looked !== undefined && (phase === 'Failed' || phase === 'Error'))
      return { kind: 'failed', scope, message: looked.text };
  }
  return builtIn === undefined ? undefined : { kind: 'failed', scope: 'builtIn', message: builtIn };
}

function otherVerdict({ step, background, stage }: Found): AnalysisVerdict {
  for (const [scope, looked] of scopesOf(step, background)) {
    if (looked?.memory.phase === 'Inconclusive') return { kind: 'inconclusive', scope, message: looked.text };
  }
  if (stage.kind !== 'analysis') return { kind: 'none' };
  return { kind: step?.memory.phase === 'Successful' ? 'passed' : 'running' };
}

function scopesOf(step: Looked | undefined, background: Looked | undefined): [Scope, Looked | undefined][] {
  return [
    ['step', step],
    ['background', background],
  ];
}

/** What has failed is measured no more; a metric that has is none of what is left to measure. */
function upcomingOf(scope: Scope, found: Looked | undefined): Upcoming[] {
  if (found === undefined || (found.memory.phase !== 'Running' && found.memory.phase !== 'Successful')) return [];
  const { index, startedAt } = found.memory;
  return found.metrics.flatMap((one) => {
    const at = nextAt(one, startedAt);
    return at === undefined ? [] : [{ scope, index, startedAt, rules: one.rules, number: takenOf(one.metric), at }];
  });
}
