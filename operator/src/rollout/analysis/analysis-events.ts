// What happened to the analysis of a Rollout from one status to the next, as Events.
import type { AnalysisStatus } from '@floe/crds/analysis';
import type { RolloutStatus } from '@floe/crds/rollout';
import type { Happening } from '../../kube/events.ts';

type ScopeStatus = NonNullable<AnalysisStatus['background']>;

/**
 * The Events between two statuses of one run: an analysis that begins or ends, each measurement that was no success, and the
 * first one that was; further ones would only crowd out what matters. And the first machine that turns bad after its update.
 */
export function analysisEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const known = before?.run === after.run ? before?.analysis : undefined;
  return [
    ...scopeEvents('step', known?.step, after.analysis?.step),
    ...scopeEvents('background', known?.background, after.analysis?.background),
    ...builtInEvents(known?.builtIn, after.analysis?.builtIn),
  ];
}

/** The first machine that turns bad is an Event; how many follow stands in the status. */
function builtInEvents(before: AnalysisStatus['builtIn'], after: AnalysisStatus['builtIn']): Happening[] {
  if ((before?.turnedBad ?? 0) > 0 || after === undefined || after.turnedBad === 0) return [];
  return [{ type: 'Warning', reason: 'TurnedBad', message: after.message ?? 'a machine turned bad after its update' }];
}

function scopeEvents(scope: string, before: ScopeStatus | undefined, after: ScopeStatus | undefined): Happening[] {
  if (after === undefined) return [];
  const known = before?.startedAt === after.startedAt ? before : undefined;
  const names = after.metrics.map(({ name }) => name).join(', ');
  const begins: Happening[] =
    known === undefined
      ? [{ type: 'Normal', reason: 'AnalysisStarted', message: `analysis (${scope}) of ${names} started` }]
      : [];
  return [
    ...begins,
    ...after.metrics.flatMap((metric) => metricEvents(known, metric)),
    ...endEvents(scope, known, after),
  ];
}

function metricEvents(known: ScopeStatus | undefined, metric: ScopeStatus['metrics'][number]): Happening[] {
  const before = known?.metrics.find(({ name }) => name === metric.name);
  const fresh = takenOf(metric) - (before === undefined ? 0 : takenOf(before));
  return (metric.measurements ?? [])
    .slice(0, fresh)
    .toReversed()
    .flatMap(({ result, value, message }): Happening[] => {
      const what = [value, message].filter((part) => part !== undefined).join('; ');
      if (result !== 'Successful')
        return [{ type: 'Warning', reason: `Measurement${result}`, message: `${metric.name}: ${what}` }];
      const isFirst = (before?.successful ?? 0) === 0 && metric.successful === 1;
      const said = `${metric.name}: ${what === '' ? 'success' : what}`;
      return isFirst ? [{ type: 'Normal', reason: 'MeasurementSuccessful', message: said }] : [];
    });
}

function endEvents(scope: string, known: ScopeStatus | undefined, after: ScopeStatus): Happening[] {
  const was = known?.phase ?? 'Running';
  if (was === after.phase || after.phase === 'Running') return [];
  const type = after.phase === 'Successful' ? 'Normal' : 'Warning';
  return [{ type, reason: `Analysis${after.phase}`, message: after.message ?? `analysis (${scope}) is done` }];
}

function takenOf({ successful, failed, inconclusive, errors }: ScopeStatus['metrics'][number]): number {
  return successful + failed + inconclusive + errors;
}
