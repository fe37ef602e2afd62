// Chooses the course of a NixConfig: where it stands, and which Job it needs for that to change.
import { verbAnnotation } from '@floe/crds/constants';
import { type RevisionClosures, revisionClosures } from '@floe/crds/revision-closures';
import type { BuildTask } from './build-task.ts';
import { type CacheDecision, decideCacheLook, lostWords } from './cache-look.ts';
import { type MachineBuilds, machineBuilds } from './machine-builds.ts';
import { dueTask, type Failure, type JobDecision, type JobRemoval, planJobs } from './plan-jobs.ts';
import { DEFAULT_ATTRIBUTE, revisionId, sourceKey } from './revision-id.ts';
import type { Snapshot } from './snapshot.ts';
import type { ResolvedSource } from './source.ts';
import type { Standing } from './standing.ts';
import { type BuildStatus, buildStatus, buildWords } from './status-build.ts';
import { CLOSURES_LOST } from './wording.ts';

/** Orders of a person that were not carried out yet: the values of their annotations. */
export type Verbs = { readonly reconcile: string | undefined; readonly retry: string | undefined };

export type Course = {
  readonly standing: Standing;
  /** What should be built. */
  readonly target?: { readonly revision: string; readonly source: ResolvedSource };
  /** What the records hold of it. */
  readonly builds?: MachineBuilds;
  readonly closures?: RevisionClosures;
  readonly build?: BuildStatus | undefined;
  readonly create?: BuildTask;
  readonly prepare?: boolean;
  /** Whether the cache is asked for what is built. */
  readonly cache?: CacheDecision;
  readonly remove?: readonly JobRemoval[];
};

/** Failures to look at a source before that shows, as long as an earlier look is good. */
const TOLERATED_FAILURES = 3;
/** Machines are often applied one after the other: a Job waits until none was added for so long, in seconds. */
const QUIET_SECONDS = 2;
/** Nobody waits longer than this for others. */
const LONGEST_QUIET_SECONDS = 10;

/** The course of a config whose manifest is right and that is not suspended. */
export function chooseCourse(snapshot: Snapshot, verbs: Verbs, now: Date): Course {
  const { config, source: view } = snapshot;
  const known = view.key === sourceKey(config.spec);
  if (known && view.source !== undefined) return withSource(snapshot, view.source, { verbs, now });
  if (!known || view.problem === undefined) return { standing: { kind: 'looking' } };
  return { standing: { kind: 'unresolved', problem: view.problem, held: config.status?.revision?.source } };
}

/** Orders of a person that were not carried out yet. */
export function pendingVerbs({ config }: Snapshot): Verbs {
  const { annotations } = config.metadata;
  const handled = config.status?.lastHandled;
  const pending = (verb: 'reconcile' | 'retry') => {
    const value = annotations?.[verbAnnotation(verb)]?.slice(0, 256);
    return value === undefined || value === '' || handled?.[verb] === value ? undefined : value;
  };
  return { reconcile: pending('reconcile'), retry: pending('retry') };
}

function withSource(snapshot: Snapshot, source: ResolvedSource, when: { verbs: Verbs; now: Date }): Course {
  const { config } = snapshot;
  const { now } = when;
  const target = { revision: revisionId(source, config.spec), source };
  const records = snapshot.records.filter(({ data }) => data?.revision === target.revision);
  const closures = revisionClosures(records);
  const builds = machineBuilds(config.spec.attribute ?? DEFAULT_ATTRIBUTE, snapshot.machines, closures);
  const { decision, remove } = planJobs(snapshot, target.revision, now);
  const build = buildStatus(snapshot, { target, decision, now });
  const known = { target, builds, closures, build, remove };
  if (decision.kind === 'running' || decision.kind === 'settling') {
    return { ...known, standing: building(decision, build) };
  }
  if (builds.total === 0) return { ...known, standing: { kind: 'no-machines' } };
  return withoutJob(snapshot, known, when);
}

type Known = Pick<Course, 'build' | 'remove'> & Required<Pick<Course, 'target' | 'builds' | 'closures'>>;

/** No Job is there: starts one that is due, as soon as that can be. */
function withoutJob(snapshot: Snapshot, known: Known, { verbs, now }: { verbs: Verbs; now: Date }): Course {
  const { config, preparation } = snapshot;
  const { target, builds, closures, build } = known;
  const given = verbs.retry ?? verbs.reconcile;
  const cache = decideCacheLook(snapshot, { revision: target.revision, builds, closures, order: given }, now);
  const base = { ...known, cache };
  const order = retryOrder(snapshot, verbs);
  const failure = build?.failure;
  const context = { builds, closures, order, lost: isLostDue(snapshot, cache, { order, failure }) };
  const task = dueTask(snapshot, target, { ...context, attempts: build?.attempts ?? 0 });
  if (task === undefined) return { ...base, standing: settled(snapshot, base) };
  if (failure !== undefined && order === undefined && !isDue(failure, config.metadata.generation, now)) {
    return { ...base, standing: { kind: 'job-failed', ...failure, retryAt: failure.retryAt } };
  }
  // The look that a changed spec brings may find something newer.
  const stale = snapshot.source.generation !== config.metadata.generation;
  if (stale || !isQuiet(snapshot, builds, now)) return { ...base, standing: { kind: 'starting' } };
  switch (preparation.kind) {
    case 'unknown':
      return { ...base, standing: { kind: 'starting' }, prepare: true };
    case 'problem':
      return { ...base, standing: { kind: 'unprepared', problem: preparation.problem } };
    case 'ready':
      return { ...base, standing: started(target.source), create: task };
  }
}

/** Whoever orders it has everything built that is lost; where such a build failed for a while, it is tried again. */
function isLostDue(
  { cache: view }: Snapshot,
  cache: CacheDecision,
  { order, failure }: { order: string | undefined; failure: Failure | undefined },
): boolean {
  return cache.known && view.missing.length > 0 && (order !== undefined || failure?.retryAt !== undefined);
}

/** An order counts for machines that failed once the source was looked at for it. */
function retryOrder({ source: view }: Snapshot, { reconcile, retry }: Verbs): string | undefined {
  if (retry !== undefined) return retry;
  return reconcile !== undefined && view.order === reconcile ? reconcile : undefined;
}

function isDue({ retryAt, generation }: Failure, current: number | undefined, now: Date): boolean {
  if (generation !== current) return true;
  return retryAt !== undefined && !(Date.parse(retryAt) > now.getTime());
}

function building(
  decision: Extract<JobDecision, { kind: 'running' | 'settling' }>,
  build: BuildStatus | undefined,
): Standing {
  const trouble = decision.kind === 'running' ? decision.trouble : undefined;
  return {
    kind: 'building',
    display: build?.source ?? '',
    words: build === undefined ? 'building' : buildWords(build),
    trouble,
  };
}

function started({ display }: ResolvedSource): Standing {
  return { kind: 'building', display, words: buildWords({ phase: 'Fetching' }), trouble: undefined };
}

function settled(
  snapshot: Snapshot,
  { builds, closures, build, cache }: Known & { readonly cache: CacheDecision },
): Standing {
  const { source: view } = snapshot;
  if (view.problem !== undefined && view.failures >= TOLERATED_FAILURES) {
    return { kind: 'unresolved', problem: view.problem, held: view.source?.display };
  }
  const lost = lostOf(snapshot, cache, build);
  if (lost !== undefined) return { kind: 'lost', message: lost };
  const failures = [...builds.failed, ...builds.unbuildable].toSorted((a, b) => (a.machine < b.machine ? -1 : 1));
  if (failures.length > 0) return { kind: 'incomplete', failures, total: builds.total };
  if (closures.main === undefined) return { kind: 'no-machines' };
  return { kind: 'ready', summary: closures.main.summary, closures: closures.closures };
}

/** What the cache has lost, in words; what was said before stays until the cache has answered. */
function lostOf({ cache: view, config }: Snapshot, cache: CacheDecision, build: BuildStatus | undefined) {
  if (cache.known && view.missing.length > 0) return lostWords(view, build?.failure?.message);
  const said = config.status?.conditions?.find(({ type }) => type === 'Ready');
  return (!cache.known || view.asked === 0) && said?.reason === CLOSURES_LOST ? said.message : undefined;
}

/** Whether the machines that are to be built are all there, as far as one can tell. */
function isQuiet({ config }: Snapshot, { missing }: MachineBuilds, now: Date): boolean {
  const born = [Date.parse(config.metadata.creationTimestamp ?? '') || 0, ...missing.map(({ createdAt }) => createdAt)];
  const ages = [Math.max(...born), Math.min(...born.slice(1))].map((time) => (now.getTime() - time) / 1000);
  const [youngest = QUIET_SECONDS, oldest = LONGEST_QUIET_SECONDS] = ages;
  // A clock that is behind the API server's makes everything look too young for ever.
  return youngest >= QUIET_SECONDS || oldest >= LONGEST_QUIET_SECONDS || youngest < -QUIET_SECONDS;
}
