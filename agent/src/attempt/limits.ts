// How long each stage of an attempt may take, in seconds: what the dead-man timers are armed with.
import { durationSeconds } from '@floe/crds/duration';
import type { Order, Step } from './record.ts';

/** Time for the agent itself between two stages: journal, process starts, a busy disk. */
const SLACK_SECONDS = 30;
/** A new closure's agent has this long to start and take over. */
const START_SECONDS = 45;
/** The built-in check watches units for at most this long. */
export const SETTLE_SECONDS = 45;
/** A health check without a time limit of its own. */
const CHECK_SECONDS = 60;

/** Limit of one health check, its grace included. */
export function checkSeconds(check: Pick<Order['healthChecks'][number], 'grace' | 'timeout'>): number {
  return (durationSeconds(check.grace ?? '') ?? 0) + (durationSeconds(check.timeout ?? '') ?? CHECK_SECONDS);
}

/** Limit of all health checks, which run side by side. */
function healthSeconds(order: Order): number {
  return Math.max(SETTLE_SECONDS, ...order.healthChecks.map(checkSeconds));
}

/** Limit of a run on the way back. */
export function undoSeconds(order: Order): number {
  return order.rollbackTimeoutSeconds ?? order.switchTimeoutSeconds;
}

/** Seconds after which the timer that is armed at this step undoes the attempt. */
export function timerSeconds(order: Order, step: Step): number {
  switch (step) {
    case 'arm-start':
      return START_SECONDS;
    case 'arm-health':
      return healthSeconds(order) + (order.confirm === 'hub' ? order.confirmTimeoutSeconds : 0) + SLACK_SECONDS;
    case 'arm-undo':
      return 2 * undoSeconds(order) + (order.rebootAfterSeconds ?? 0) + SLACK_SECONDS;
    default:
      return order.switchTimeoutSeconds + SLACK_SECONDS;
  }
}
