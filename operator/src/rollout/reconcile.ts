// One look at a Rollout: observe, plan, apply.
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';
import type { Outcome, Reconcile, ReconcileContext } from '../kube/controller.ts';
import type { EventRecorder } from '../kube/events.ts';
import { parseKey } from '../kube/object.ts';
import type { Measurements } from './analysis/runner.ts';
import { type ApplyPorts, writeOrders, writeStatus } from './apply.ts';
import { hasSharedBudget } from './group-budgets.ts';
import type { Observer } from './observe.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import { eventsBetween } from './rollout-events.ts';
import type { RolloutMetrics } from './rollout-metrics.ts';
import { newsOf } from './status-news.ts';
import { BY_NAMESPACE, type RolloutStores } from './stores.ts';
import { Turns } from './turns.ts';

export type RolloutReconcilerPorts = {
  readonly client: ApplyPorts['client'];
  readonly stores: RolloutStores;
  /** Room for writes to machines. */
  readonly window: ApplyPorts['window'];
  readonly observer: Observer;
  /** Takes the measurements of analysis. */
  readonly measurements: Measurements;
  readonly metrics: RolloutMetrics;
  readonly events: Pick<EventRecorder, 'event'>;
  readonly now: () => Date;
  /** Told of each plan and how long it took, in seconds, so that large fleets are planned less often. */
  readonly onPlanned: (key: string, seconds: number, planned: Plan) => void;
};

/** Counters are written at most so often, in ms. */
const COUNTERS_MS = 1000;
/** How soon to plan again after an order lost a race: the watch brings the machine's news, in seconds. */
const AFTER_RACE = 0.1;
/** Timers that lie further ahead are set again later, in seconds. */
const LONGEST_WAIT = 3600;

/** How long other Rollouts of the namespace wait after orders of which nobody knows whether they were stored, in ms. */
const DOUBT_MS = 30_000;
/** How soon they look again, in seconds. */
const IN_DOUBT = 1;

/** Makes the reconcile function of Rollouts. Those that share budgets take turns, so that no two plan from one state. */
export function rolloutReconciler(ports: RolloutReconcilerPorts): Reconcile {
  const looks: Looks = { written: new Map(), doubts: new Map() };
  const turns = new Turns();
  return (key, context): Promise<Outcome> => {
    const { namespace = '' } = parseKey(key);
    const work = () => look(key, { ports, looks, context });
    const isShared = hasSharedBudget(ports.stores.rollouts.by(BY_NAMESPACE, namespace));
    return isShared ? turns.take(namespace, context.signal, () => ownTurn(key, { ports, looks, work })) : work();
  };
}

/** What is remembered between two looks. */
type Looks = {
  /** When the status of a Rollout was written last, in ms. */
  readonly written: Map<string, number>;
  /** By namespace: the Rollout whose orders were lost on the way, and until when that matters. */
  readonly doubts: Map<string, { readonly key: string; readonly until: number }>;
};

/**
 * An order whose answer got lost may be stored or not. Its own Rollout decides the same again and so repeats it; others
 * of the namespace wait for that, since they might take the same slot.
 */
async function ownTurn(
  key: string,
  { ports, looks, work }: { ports: RolloutReconcilerPorts; looks: Looks; work: () => Promise<Outcome> },
): Promise<Outcome> {
  const { namespace = '' } = parseKey(key);
  const doubt = looks.doubts.get(namespace);
  const isOver = doubt === undefined || doubt.key === key || ports.now().getTime() >= doubt.until;
  if (!isOver) return { kind: 'again', afterSeconds: IN_DOUBT };
  const outcome = await work();
  looks.doubts.delete(namespace);
  return outcome;
}

type Look = { readonly ports: RolloutReconcilerPorts; readonly looks: Looks; readonly context: ReconcileContext };

async function look(key: string, { ports, looks, context: { signal, log } }: Look): Promise<Outcome> {
  const rollout = ports.stores.rollouts.get(key);
  const { namespace = '', name } = parseKey(key);
  if (rollout === undefined || rollout.metadata.deletionTimestamp !== undefined) {
    ports.metrics.forget({ namespace, rollout: name });
    ports.measurements.forget(key);
    looks.written.delete(key);
    return { kind: 'done' };
  }
  const now = ports.now();
  const snapshot = { ...ports.observer.snapshot(rollout), measured: ports.measurements.measured(key) };
  const start = performance.now();
  const planned = plan(snapshot, now);
  const seconds = (performance.now() - start) / 1000;
  ports.onPlanned(key, seconds, planned);
  const apply: ApplyPorts = {
    client: ports.client,
    stores: ports.stores,
    window: ports.window,
    now: ports.now,
    signal,
  };
  const at = looks.written.get(key) ?? 0;
  const wait = await storeStatus(rollout, planned.status, { apply, at, now: now.getTime() });
  if (wait.stored) looks.written.set(key, now.getTime());
  if (wait.stored) announce(rollout, planned, ports);
  // What was measured is forgotten once it is stored, and not before.
  if (wait.afterSeconds === undefined) ports.measurements.sync(rollout, planned.measure);
  ports.metrics.observe(wait.stored ? rollout : { ...rollout, status: planned.status }, planned, seconds);
  const applied = await writeOrders(snapshot, planned, apply).catch((error: unknown) => {
    looks.doubts.set(namespace, { key, until: ports.now().getTime() + DOUBT_MS });
    throw error;
  });
  const { written: told, lost } = applied;
  if (told > 0 || lost > 0) {
    const { phase, step, budget, status } = planned;
    log.info({ told, lost, phase, step, budget, revision: status.revision }, 'machines told');
  }
  return outcomeOf(planned, { now: now.getTime(), lost, afterSeconds: wait.afterSeconds });
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
