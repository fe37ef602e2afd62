// Plans what happens to a NixConfig next: a pure function of what was observed and the time.
import type { NixConfigStatus } from '@floe/crds/nix-config';
import { parseNixConfig } from '@floe/crds/parse';
import type { BuildTask } from './build-task.ts';
import type { CacheLook } from './cache-look.ts';
import { type ConfigEvent, eventsOf } from './config-events.ts';
import { type Course, chooseCourse, pendingVerbs, type Verbs } from './course.ts';
import { immediateOrders, type MachineOrder } from './immediate.ts';
import { decideLook } from './look.ts';
import { type JobRemoval, removeAllJobs } from './plan-jobs.ts';
import { prunedRecords } from './prune.ts';
import type { Snapshot } from './snapshot.ts';
import type { Standing } from './standing.ts';
import { nextStatus } from './status.ts';
import { wordsOf } from './wording.ts';

export type Plan = {
  /** Look at the source, in the background. */
  readonly look: boolean;
  /** Ask the cache for these closures, in the background. */
  readonly lookAtCache: CacheLook | undefined;
  /** A build is due, or the signing key is not known yet: make sure that its Secrets are there, then plan again. */
  readonly prepare: boolean;
  readonly create: BuildTask | undefined;
  readonly remove: readonly JobRemoval[];
  /** Names of ControllerRevisions that nobody needs any more. */
  readonly prune: readonly string[];
  /** Orders to machines, with delivery Immediate. */
  readonly orders: readonly MachineOrder[];
  /** The whole next status. */
  readonly status: NixConfigStatus;
  readonly events: readonly ConfigEvent[];
  /** Why this is how it stands, and when it is looked at again; undefined: at the next change. */
  readonly reason: string;
  readonly nextCheckSeconds: number | undefined;
};

const SETTLE_SECONDS = 2;

/** What happens next. Throws nothing; a wrong manifest is a standing of its own. */
export function planConfig(snapshot: Snapshot, now: Date): Plan {
  const { config, source: view } = snapshot;
  const parsed = parseNixConfig({ ...config, status: undefined });
  if (!parsed.ok) {
    const { field, message } = parsed;
    const problem = { reason: 'InvalidSpec', field, message, transient: false };
    return finish(snapshot, now, { standing: { kind: 'invalid', problem } });
  }
  if (config.spec.suspend === true) {
    return finish(snapshot, now, {
      standing: { kind: 'suspended', built: config.status?.revision !== undefined },
      remove: removeAllJobs(snapshot.jobs, 'suspended'),
    });
  }
  const verbs = pendingVerbs(snapshot);
  const { look, afterSeconds } = decideLook(config, view, verbs.reconcile, now);
  return finish(snapshot, now, { ...chooseCourse(snapshot, verbs, now), look, afterSeconds, verbs });
}

type Whole = Course & {
  readonly look?: boolean;
  readonly afterSeconds?: number | undefined;
  readonly verbs?: Verbs;
};

/** Everything that follows from the course: status, orders, what is pruned, events, the next check. */
function finish(snapshot: Snapshot, now: Date, course: Whole): Plan {
  const { standing, builds, closures, target } = course;
  const words = wordsOf(standing);
  const handled = handledVerbs(snapshot, course);
  const status = nextStatus(snapshot, { ...course, words, handled, now });
  const delivers = snapshot.config.spec.delivery === 'Immediate' && status.revision?.id === target?.revision;
  const orders =
    delivers && builds !== undefined && closures !== undefined
      ? immediateOrders(snapshot, { revision: target?.revision ?? '', builds, now })
      : { orders: [], nextCheckSeconds: undefined };
  return {
    look: course.look ?? false,
    lookAtCache: course.cache?.look,
    prepare: course.prepare ?? needsKey(snapshot, standing),
    create: course.create,
    remove: course.remove ?? [],
    prune: prunedRecords(snapshot, status, target?.revision),
    orders: orders.orders,
    status,
    events: eventsOf(snapshot.config, { status, words, create: course.create, remove: course.remove ?? [] }),
    reason: words.reason,
    nextCheckSeconds: soonest([
      course.afterSeconds,
      course.cache?.afterSeconds,
      ownCheck(course, now),
      orders.nextCheckSeconds,
    ]),
  };
}

/** The key is shown whatever becomes of the source, and while the config is suspended: machines must trust it before they are built. */
function needsKey({ config, preparation }: Snapshot, standing: Standing): boolean {
  return standing.kind !== 'invalid' && preparation.kind === 'unknown' && config.status?.cache === undefined;
}

/** A verb is done when it can't bring anything more: its look is over, its Job is there or not needed. */
function handledVerbs({ source: view }: Snapshot, { standing, create, verbs, cache }: Whole): Partial<Verbs> {
  if (
    verbs === undefined ||
    // The look at the cache may find more to be built.
    (create === undefined && cache?.settled === false) ||
    standing.kind === 'starting' ||
    standing.kind === 'looking' ||
    standing.kind === 'unprepared'
  )
    return {};
  const seen = verbs.reconcile !== undefined && view.order === verbs.reconcile && !view.looking;
  // An order to retry that came while a Job runs waits for its end, so that it reaches those which that Job fails.
  const retried = verbs.retry !== undefined && (create !== undefined || standing.kind !== 'building');
  return { ...(seen ? { reconcile: verbs.reconcile } : {}), ...(retried ? { retry: verbs.retry } : {}) };
}

/** When the standing itself wants to be looked at again. */
function ownCheck({ standing }: Course, now: Date): number | undefined {
  switch (standing.kind) {
    case 'building':
      // Mostly the watch is faster; this is for what only time brings, as a Job that gets no pod.
      return standing.trouble === undefined ? 15 : SETTLE_SECONDS * 5;
    case 'starting':
      return SETTLE_SECONDS;
    case 'unprepared':
      return standing.problem.transient ? 15 : undefined;
    case 'job-failed':
      return standing.retryAt === undefined
        ? undefined
        : Math.max(1, (Date.parse(standing.retryAt) - now.getTime()) / 1000);
    case 'invalid':
    case 'suspended':
    case 'looking':
    case 'unresolved':
    case 'no-machines':
    case 'incomplete':
    case 'lost':
    case 'ready':
      return undefined;
  }
}

function soonest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
