// One look at a Rollout: observe, plan, apply.
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import type { Outcome, Reconcile } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import { parseKey } from '../kube/object.ts';
import { type ApplyPorts, writeOrders, writeStatus } from './apply.ts';
import type { Observer } from './observe.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import { eventsBetween } from './rollout-events.ts';
import type { RolloutMetrics } from './rollout-metrics.ts';
import { newsOf } from './status-news.ts';
import type { RolloutStores } from './stores.ts';
import { timeMs } from './time.ts';

export type RolloutReconcilerPorts = {
  readonly client: ApplyPorts['client'];
  readonly stores: RolloutStores;
  /** Room for writes to machines. */
  readonly window: ApplyPorts['window'];
  readonly observer: Observer;
  readonly metrics: RolloutMetrics;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly now: () => Date;
  /** Told how long a plan took, in seconds, so that large fleets are planned less often. */
  readonly onPlanned: (key: string, seconds: number) => void;
};

/** Counters are written at most so often, in ms. */
const COUNTERS_MS = 1000;
/** How soon to plan again after an order lost a race: the watch brings the machine's news, in seconds. */
const AFTER_RACE = 0.1;
/** Timers that lie further ahead are set again later, in seconds. */
const LONGEST_WAIT = 3600;

/** Makes the reconcile function of Rollouts. */
export function rolloutReconciler(ports: RolloutReconcilerPorts): Reconcile {
  const written = new Map<string, number>();
  return async (key, { signal, log }): Promise<Outcome> => {
    const rollout = ports.stores.rollouts.get(key);
    if (rollout === undefined || rollout.metadata.deletionTimestamp !== undefined) {
      const { namespace = '', name } = parseKey(key);
      ports.metrics.forget({ namespace, rollout: name });
      written.delete(key);
      return { kind: 'done' };
    }
    const now = ports.now();
    const snapshot = ports.observer.snapshot(rollout);
    const start = performance.now();
    const planned = plan(snapshot, now);
    const seconds = (performance.now() - start) / 1000;
    ports.onPlanned(key, seconds);
    const apply: ApplyPorts = {
      client: ports.client,
      stores: ports.stores,
      window: ports.window,
      now: ports.now,
      signal,
    };
    const wait = await storeStatus(rollout, planned.status, { apply, at: written.get(key) ?? 0, now: now.getTime() });
    if (wait.stored) written.set(key, now.getTime());
    if (wait.stored) announce(rollout, planned, ports);
    ports.metrics.observe(wait.stored ? rollout : { ...rollout, status: planned.status }, planned, seconds);
    const { written: told, lost } = await writeOrders(snapshot, planned, apply);
    if (told > 0 || lost > 0) {
      log.info(
        {
          told,
          lost,
          phase: planned.phase,
          step: planned.step,
          budget: planned.budget,
          revision: planned.status.revision,
        },
        'machines told',
      );
    }
    return outcomeOf(planned, { now: now.getTime(), lost, afterSeconds: wait.afterSeconds });
  };
}

type Stored = { readonly stored: boolean; readonly afterSeconds?: number };

/** Writes the status where it brings news; mere counters wait until their second has passed. */
async function storeStatus(
  rollout: Rollout,
  status: RolloutStatus,
  { apply, at, now }: { apply: ApplyPorts; at: number; now: number },
): Promise<Stored> {
  const news = newsOf(rollout.status, status);
  if (news === 'none') return { stored: false };
  const wait = at + COUNTERS_MS - now;
  if (news === 'counters' && wait > 0) return { stored: false, afterSeconds: Math.min(wait, COUNTERS_MS) / 1000 };
  await writeStatus(rollout, status, apply);
  return { stored: true };
}

function announce(rollout: Rollout, planned: Plan, { events }: RolloutReconcilerPorts): void {
  for (const happening of eventsBetween(rollout.status, planned.status)) events.event(rollout, happening);
}

function outcomeOf(
  planned: Plan,
  { now, lost, afterSeconds }: { now: number; lost: number; afterSeconds: number | undefined },
): Outcome {
  const next = timeMs(planned.nextCheck ?? undefined);
  const waits = [
    ...(lost > 0 ? [AFTER_RACE] : []),
    ...(afterSeconds === undefined ? [] : [afterSeconds]),
    ...(next === undefined ? [] : [Math.max(0.001, (next - now) / 1000)]),
  ];
  if (waits.length === 0) return { kind: 'done' };
  return { kind: 'again', afterSeconds: Math.min(LONGEST_WAIT, ...waits) };
}
