// When a dead-man timer goes off, told to systemd so that nothing which happens to systemd moves it.
import type { Clock } from '../attempt/ports.ts';
import { type Commander, complaintOf } from './command.ts';

/** Option of systemd-run for the time of a timer, or why it can't be told. */
export type TimerDelay =
  | { readonly kind: 'known'; readonly option: string }
  | { readonly kind: 'unknown'; readonly message: string };

type Ports = {
  readonly command: Commander;
  /** Its monotonic time is CLOCK_MONOTONIC, as systemd's. */
  readonly clock: Pick<Clock, 'now'>;
};

/**
 * The option that has a timer go off `seconds` from now, on the monotonic clock. Counted from the start of the service
 * manager, which keeps that time for as long as it runs: `OnActiveSec` counts again from each daemon-reload and
 * re-exec, and every switch reloads; a calendar time moves with the wall clock; the boot that `OnBootSec` counts from
 * is the host's or the container's. /proc/uptime would not do, as it goes on in suspend.
 */
export async function timerDelay({ command, clock }: Ports, seconds: number, signal: AbortSignal): Promise<TimerDelay> {
  const shown = await command('systemctl', ['show', '--property=UserspaceTimestampMonotonic'], { signal });
  const started = /^UserspaceTimestampMonotonic=(\d+)$/m.exec(shown.stdout)?.[1];
  if (started === undefined || started === '0') {
    const why = shown.code === 0 ? shown.stdout.trim() || 'no answer' : complaintOf(shown);
    return { kind: 'unknown', message: `systemd does not say when it was started (${why})` };
  }
  const dueMs = clock.now().monotonicMs + seconds * 1000 - Number(started) / 1000;
  return { kind: 'known', option: `--on-startup=${Math.max(0, Math.ceil(dueMs))}ms` };
}
