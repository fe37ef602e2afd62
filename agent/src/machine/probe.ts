// Tries a health check again and again: after its grace, at its interval, until enough tries in a row pass or its time is up.
import { durationSeconds } from '@floe/crds/duration';
import type { HealthCheck } from '@floe/crds/health-check';
import { checkSeconds } from '../attempt/limits.ts';
import type { Clock } from '../attempt/ports.ts';

/** What one try came to. `hopeless`: no later try can pass. */
export type Tried =
  | { readonly passed: true; readonly said: string }
  | { readonly passed: false; readonly said: string; readonly hopeless?: boolean };

/** One try. Ends when the signal aborts; never rejects for what the check itself came to. */
export type Probe = (signal: AbortSignal) => Promise<Tried>;

const INTERVAL_SECONDS = 2;

type Timing = Pick<HealthCheck, 'grace' | 'interval' | 'successes' | 'timeout'>;

/** Seconds before the first try. */
export function graceSeconds({ grace }: Timing): number {
  return durationSeconds(grace ?? '') ?? 0;
}

function intervalMs({ interval }: Timing): number {
  return Math.max(100, (durationSeconds(interval ?? '') ?? INTERVAL_SECONDS) * 1000);
}

/** Tries until the check has passed or failed. Rejects only when the caller's signal aborts. */
export async function tryCheck(check: Timing, probe: Probe, clock: Clock, signal: AbortSignal): Promise<Tried> {
  const wanted = check.successes ?? 1;
  const pauseMs = intervalMs(check);
  const end = clock.now().monotonicMs + checkSeconds(check) * 1000;
  const grace = graceSeconds(check);
  if (grace > 0) await clock.sleep(grace * 1000, signal);
  for (let inARow = 0, last: string | undefined; ; ) {
    const leftMs = end - clock.now().monotonicMs;
    if (leftMs <= 0) return { passed: false, said: afterTime(last, inARow, wanted) };
    const over = AbortSignal.timeout(Math.ceil(leftMs));
    const tried = await probe(AbortSignal.any([signal, over]));
    signal.throwIfAborted();
    inARow = tried.passed ? inARow + 1 : 0;
    // A try that the end of the time cut off says less than the one before it.
    if (!over.aborted || last === undefined) last = tried.said;
    if (inARow >= wanted || isHopeless(tried)) return tried;
    const rest = end - clock.now().monotonicMs;
    if (rest > 0) await clock.sleep(Math.min(pauseMs, rest), signal);
  }
}

function isHopeless(tried: Tried): boolean {
  return !tried.passed && tried.hopeless === true;
}

function afterTime(last: string | undefined, inARow: number, wanted: number): string {
  if (last === undefined) return 'there was no time to try';
  return inARow === 0 ? last : `it passed ${inARow} times in a row, ${wanted} are wanted (${last})`;
}
