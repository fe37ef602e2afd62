// When an order was carried out: the word of a machine, as far as it can be true.
import type { NixMachineStatus } from '@floe/crds/nix-machine';
import { timeMs, wholeSeconds } from './moment.ts';
import { ownAttempt } from './own-attempt.ts';

/**
 * When the order was carried out. The machine's own word counts while it can be true: not before the order, nor after Floe
 * heard of the end. A machine with a wrong clock is gone by what Floe wrote then, else by the order itself. As time passes
 * the answer stays the same: a clock that is ahead must not become right by waiting.
 */
export function attemptEnd(status: NixMachineStatus, now: number): number {
  const { desired, conditions } = status;
  const own = ownAttempt(status);
  const since = timeMs(desired?.since) ?? Number.NEGATIVE_INFINITY;
  const changedAt = (of: string, to: 'True' | 'False'): number | undefined =>
    timeMs(conditions?.find(({ type, status }) => type === of && status === to)?.lastTransitionTime);
  const idle = changedAt('Reconciling', 'False');
  const heard = idle !== undefined && idle >= wholeSeconds(since) ? idle : undefined;
  // Times of conditions are cut: it was heard of within that second.
  const latest = heard === undefined ? now : heard + 999;
  const isPossible = (ms: number | undefined): ms is number => ms !== undefined && ms >= since && ms <= latest;
  const candidates = [timeMs(own?.finishedAt), heard, changedAt('UpToDate', 'True'), timeMs(own?.startedAt)];
  return candidates.find(isPossible) ?? Math.max(since, 0);
}
