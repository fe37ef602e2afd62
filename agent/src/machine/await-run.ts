// Waits for a run of switch-to-configuration that a process of its own carries out.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunOutcome } from '../attempt/outcome.ts';
import type { Run } from '../attempt/ports.ts';
import { lives, runEnd, runner } from './run-files.ts';

const POLL_MS = 100;
/** The run ends itself at its limit; whoever waits allows it this much more before it kills it. */
const PATIENCE_SECONDS = 20;
/** From being started to saying so. */
const START_SECONDS = 30;

export type Watched = {
  /** Whether something that would carry out the run is alive, though it may not have said so yet. */
  isStarting(): Promise<boolean>;
  /** Ends whatever carries out the run. */
  kill(): Promise<void>;
};

/** Waits for the end of a run that was started. Rejects when the signal aborts; the run goes on then. */
export async function awaitRun(runs: string, run: Run, watched: Watched, signal: AbortSignal): Promise<RunOutcome> {
  const began = performance.now();
  for (;;) {
    const claimed = await runner(runs, run.name);
    const alive = claimed !== undefined && (await lives(claimed));
    const seconds = (performance.now() - began) / 1000;
    const waiting = alive || (claimed === undefined && seconds < START_SECONDS && (await watched.isStarting()));
    const ended = await runEnd(runs, run.name);
    if (ended !== undefined) return ended;
    if (!waiting) return { kind: 'lost' };
    if (seconds > run.limitSeconds + PATIENCE_SECONDS) {
      await watched.kill();
      return (await runEnd(runs, run.name)) ?? { kind: 'timed-out', seconds: run.limitSeconds };
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}
