// What a rollout says while it measures: in its conditions, and to the machines that wait for it.
import type { Position } from '../course.ts';
import { clockTime } from '../time.ts';
import { clip } from '../wording.ts';

/** `analysis error-rate 2/5, next at 14:31 UTC`. */
export function analysisText({ analysis }: Position, now: number): string {
  const open = analysis.upcoming.filter(({ scope }) => scope === 'step');
  const memory = analysis.memory.step;
  const parts = open.map(({ rules, number }) => {
    const metric = memory?.metrics.find(({ name }) => name === rules.name);
    const errors = metric?.consecutiveErrors ?? 0;
    const taken = number - (metric?.errors ?? 0);
    return `${rules.name} ${taken}/${rules.count ?? '∞'}${errors === 0 ? '' : ` (${errors} errors in a row)`}`;
  });
  const next = open.reduce((soonest, { at }) => Math.min(soonest, at), Number.POSITIVE_INFINITY);
  // Times are said to the minute; what comes sooner needs no word.
  const isLater = next >= now + 60_000 && next < Number.POSITIVE_INFINITY;
  const when = isLater ? `, next at ${clockTime(next, now)}` : '';
  return clip(parts.length === 0 ? 'analysis begins' : `analysis ${parts.join(', ')}${when}`);
}

/** What the run waits for; undefined where analysis is not in the way. */
export function analysisWait(position: Position, rollout: string, now: number): string | undefined {
  const { verdict } = position.analysis;
  if (verdict.kind === 'inconclusive') {
    return clip(`${verdict.message}; decide: kubectl floe continue, retry or abort ${rollout}`);
  }
  return position.stage.kind === 'analysis' ? analysisText(position, now) : undefined;
}
