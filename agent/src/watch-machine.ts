// Says when to look at the machine: when it tells of a change, and now and then, since people switch it by hand and units fail later.
import type { Clock } from './attempt/ports.ts';
import type { Log } from './log.ts';

export type MachineWatch = {
  readonly machine: { watch?(changed: () => void): { close(): void } };
  readonly clock: Clock;
  readonly log: Log;
  /** Seconds between looks; default 300 where the machine tells of changes by itself, else 10. */
  readonly watchSeconds?: number | undefined;
  /** Whether something is being found out, so that it is looked at more often. */
  readonly isUnsettled: () => boolean;
};

/** Changes come in flocks: the look waits until they are through. */
const FLOCK_MS = 1_000;
/** Between two looks at a machine where something changes all the time. */
const PAUSE_MS = 4_000;
const SLOW_WATCH_SECONDS = 300;
const QUICK_WATCH_SECONDS = 10;

/** Looks until the signal aborts. A look that fails is told, and tried again at the next occasion. */
export async function watchMachine(watch: MachineWatch, look: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const { machine, clock, log, isUnsettled } = watch;
  let changed = new AbortController();
  const watching = machine.watch?.(() => changed.abort());
  signal.addEventListener('abort', () => watching?.close(), { once: true });
  const watchSeconds = watch.watchSeconds ?? (watching === undefined ? QUICK_WATCH_SECONDS : SLOW_WATCH_SECONDS);
  const wait = async () => {
    const seconds = isUnsettled() ? Math.min(QUICK_WATCH_SECONDS / 2, watchSeconds) : watchSeconds;
    await clock.sleep(seconds * 1000, AbortSignal.any([signal, changed.signal])).catch((error: unknown) => {
      if (signal.aborted || !changed.signal.aborted) throw error;
    });
    if (!changed.signal.aborted) return;
    await clock.sleep(FLOCK_MS, signal);
    changed = new AbortController();
  };
  for (;;) {
    try {
      await wait();
      await look();
      if (watching !== undefined) await clock.sleep(PAUSE_MS, signal);
    } catch (error: unknown) {
      if (signal.aborted) return;
      log.warn(`the machine can't be read: ${error instanceof Error ? error.message : error}`);
    }
  }
}
