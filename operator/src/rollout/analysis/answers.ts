// What a person's verbs change in the analysis of a run: accept what it came to, or measure anew.
import type { AnalysisPhase } from '@floe/crds/analysis';
import type { Stage } from '../stage.ts';
import { type State, secondsBetween, toStep } from '../state.ts';

const BAD: readonly AnalysisPhase[] = ['Failed', 'Error', 'Inconclusive'];

/** Goes on in spite of what the analysis came to; machines that have turned bad by now are accepted. */
export function acceptAnalysis(state: State, stage: Stage | undefined, now: number): State {
  const found = badIn(state, stage);
  if (found === undefined) return state;
  const cleared = withoutBad(withPause(state, found, now), found, now);
  return found.step ? toStep(cleared, state.run.step.index + 1, now) : cleared;
}

/** Measures again what went badly, from the beginning. */
export function repeatAnalysis(state: State, stage: Stage | undefined, now: number): State {
  const found = badIn(state, stage);
  if (found === undefined) return state;
  const cleared = withoutBad(withPause(state, found, now), found, undefined);
  return found.step ? toStep(cleared, state.run.step.index, now) : cleared;
}

/** The time that a run has waited for a person counts as paused; one that was stopped did not wait. */
function withPause(state: State, found: Found, now: number): State {
  const { run } = state;
  const { step, background } = run.analysis;
  const waits = [found.step ? step : undefined, found.background ? background : undefined].filter(
    (scope) => scope?.phase === 'Inconclusive',
  );
  if (run.stopped !== undefined || waits.length === 0) return state;
  const ends = waits.flatMap((scope) =>
    (scope?.metrics ?? []).flatMap(({ measurements }) => measurements[0]?.at ?? []),
  );
  const seconds = secondsBetween(ends.length === 0 ? now : Math.max(...ends), now);
  return { ...state, run: { ...run, pausedSeconds: run.pausedSeconds + seconds } };
}

type Found = { readonly step: boolean; readonly background: boolean };

/** What went badly; undefined where nothing did. */
function badIn({ run }: State, stage: Stage | undefined): Found | undefined {
  const { analysis, step } = run;
  const isStep = stage?.kind === 'analysis' && analysis.step?.index === step.index;
  const found = {
    step: isStep && analysis.step?.startedAt === step.startedAt && BAD.includes(analysis.step?.phase ?? 'Running'),
    background: analysis.background !== undefined && BAD.includes(analysis.background.phase),
  };
  return found.step || found.background || analysis.cause !== undefined ? found : undefined;
}

function withoutBad(state: State, found: Found, acceptedAt: number | undefined): State {
  const { analysis } = state.run;
  return {
    ...state,
    run: {
      ...state.run,
      analysis: {
        ...analysis,
        background: found.background ? undefined : analysis.background,
        cause: undefined,
        acceptedAt: acceptedAt ?? analysis.acceptedAt,
      },
    },
  };
}
