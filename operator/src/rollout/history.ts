// Runs that ended, newest first, one entry each.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import type { Run } from './run.ts';

export type HistoryEntry = NonNullable<RolloutStatus['history']>[number];

/** The history with the end of `run` at `now` (ms) on top; an entry that the run had already is replaced. */
export function recorded(
  history: readonly HistoryEntry[],
  run: Run,
  { outcome, now, limit }: { outcome: HistoryEntry['outcome']; now: number; limit: number },
): HistoryEntry[] {
  const startedAt = run.startedAt ?? now;
  // Each wait was cut to seconds by itself; their sum may be a little more than the whole.
  const totalSeconds = Math.max(0, Math.round((now - startedAt) / 1000));
  const pausedSeconds = Math.min(totalSeconds, run.pausedSeconds);
  const entry: HistoryEntry = {
    run: run.id,
    revision: run.revision,
    outcome,
    startedAt: rfc3339Exact(startedAt),
    endedAt: rfc3339Exact(now),
    totalSeconds,
    progressingSeconds: totalSeconds - pausedSeconds,
    pausedSeconds,
  };
  return [entry, ...without(history, run)].slice(0, limit);
}

/** The history without a run that goes on after all. */
export function without(history: readonly HistoryEntry[], run: Run): HistoryEntry[] {
  return history.filter((entry) => entry.run !== run.id);
}

/** The revision that a completed run takes the machines back to: the last other one that a run completed with. */
export function revisionBefore(history: readonly HistoryEntry[], revision: string): string | undefined {
  return history.find((entry) => entry.outcome === 'Completed' && entry.revision !== revision)?.revision;
}
