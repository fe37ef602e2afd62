// Makes the whole next status of a NixConfig.
import type { NixConfigStatus } from '@floe/crds/nix-config';
import type { RevisionClosures } from '@floe/crds/revision-closures';
import { rfc3339 } from '@floe/crds/rfc3339';
import type { BuildTask } from './build-task.ts';
import { conditionsOf } from './conditions.ts';
import type { MachineBuilds } from './machine-builds.ts';
import { forNamespace } from './settings.ts';
import type { Snapshot } from './snapshot.ts';
import type { ResolvedSource } from './source.ts';
import type { Standing } from './standing.ts';
import type { BuildStatus } from './status-build.ts';
import type { Words } from './wording.ts';

export type StatusInput = {
  readonly standing: Standing;
  readonly words: Words;
  readonly target?: { readonly revision: string; readonly source: ResolvedSource } | undefined;
  readonly builds?: MachineBuilds | undefined;
  readonly closures?: RevisionClosures | undefined;
  readonly build?: BuildStatus | undefined;
  readonly create?: BuildTask | undefined;
  /** Verbs that are carried out now. */
  readonly handled: Readonly<Record<string, string | undefined>>;
  readonly now: Date;
};

const FAILURES_SHOWN = 10;
const DEFAULT_HISTORY_LIMIT = 10;

/** The next status; what the input says nothing about stays as it is. */
export function nextStatus({ config, preparation, settings }: Snapshot, input: StatusInput): NixConfigStatus {
  const before = config.status ?? {};
  const { generation, namespace } = config.metadata;
  const { words, now } = input;
  const handled = Object.entries(input.handled).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const revision = nextRevision(before, input);
  const build = nextBuild(before, input);
  const checkedAt = isNews(before, input) ? rfc3339(now) : before.checkedAt;
  const publicKey = preparation.kind === 'unknown' ? undefined : preparation.publicKey;
  const cache =
    publicKey === undefined
      ? before.cache
      : { url: forNamespace(settings.cacheSubstituter, namespace ?? 'default'), publicKey };
  const history = nextHistory(config.spec.historyLimit ?? DEFAULT_HISTORY_LIMIT, before, { ...input, revision });
  const lastHandled =
    handled.length > 0 ? { ...before.lastHandled, ...Object.fromEntries(handled) } : before.lastHandled;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: conditionsOf(words, before.conditions ?? [], {
      generation,
      sandboxed: input.closures?.main?.summary.sandboxed,
      now,
    }),
    ...(lastHandled === undefined ? {} : { lastHandled }),
    ...(revision === undefined ? {} : { revision }),
    ...(build === undefined ? {} : { build }),
    ...counts(before, input.builds),
    ...(cache === undefined ? {} : { cache }),
    ...(history === undefined ? {} : { history }),
    ...(checkedAt === undefined ? {} : { checkedAt }),
  };
}

function isNews(before: NixConfigStatus, { target }: StatusInput): boolean {
  return target !== undefined && target.revision !== (before.build?.revision ?? before.revision?.id);
}

/**
 * The newest revision moves once its build is recorded and gave at least one closure: machines that joined while it ran
 * don't hold it up, and a source in which nothing builds takes no Rollout away from what works.
 */
function nextRevision(before: NixConfigStatus, { target, builds, closures }: StatusInput): NixConfigStatus['revision'] {
  const main = closures?.main;
  if (target === undefined || builds === undefined || main === undefined) return before.revision;
  if (target.revision === before.revision?.id) return before.revision;
  const began = Date.parse(main.builtAt) - main.summary.seconds * 1000;
  const joined = builds.missing.every(({ createdAt }) => createdAt >= began);
  if (builds.built.length === 0 || !joined) return before.revision;
  return {
    id: target.revision,
    source: target.source.display,
    ...(main.locked === undefined ? {} : { locked: main.locked }),
    builtAt: main.builtAt,
  };
}

function nextBuild(before: NixConfigStatus, input: StatusInput): NixConfigStatus['build'] {
  const { standing, target, build, create, closures, now } = input;
  if (target === undefined) return buildWithoutTarget(before, standing);
  const of = { revision: target.revision, source: target.source.display };
  if (create !== undefined) {
    const attempts = build?.attempts;
    return { phase: 'Fetching', ...of, job: create.job, ...(attempts ? { attempts } : {}), startedAt: rfc3339(now) };
  }
  const ended = standing.kind === 'ready' || standing.kind === 'incomplete' || standing.kind === 'unresolved';
  const newest = closures?.newest;
  if (!ended || newest === undefined) return build ?? before.build;
  const { failure: _, attempts: __, ...kept }: Partial<BuildStatus> = build ?? {};
  return { ...kept, phase: 'Built', ...of, job: kept.job ?? newest.job, finishedAt: newest.builtAt };
}

/** A suspended build was ended; else what runs or was built before stays the newest build. */
function buildWithoutTarget({ build }: NixConfigStatus, standing: Standing): NixConfigStatus['build'] {
  if (standing.kind === 'suspended') return build?.finishedAt === undefined ? undefined : build;
  return standing.kind === 'looking' ? (build ?? { phase: 'Resolving' }) : build;
}

function counts(
  before: NixConfigStatus,
  builds: MachineBuilds | undefined,
): Pick<NixConfigStatus, 'machines' | 'failures'> {
  if (builds === undefined) {
    const { machines, failures } = before;
    return { ...(machines === undefined ? {} : { machines }), ...(failures === undefined ? {} : { failures }) };
  }
  const failures = failuresOf(builds);
  const [built, total] = [builds.built.length, builds.total];
  return {
    machines: { total, built, failed: failures.length, ready: `${built}/${total}` },
    ...(failures.length === 0 ? {} : { failures: failures.slice(0, FAILURES_SHOWN) }),
  };
}

/** All machines without a closure and why, by name. */
function failuresOf({ failed, unbuildable }: MachineBuilds): NonNullable<NixConfigStatus['failures']> {
  return [...failed, ...unbuildable]
    .toSorted((a, b) => (a.machine < b.machine ? -1 : 1))
    .map(({ machine, stage, message }) => ({ machine, stage, message: message.slice(0, 2048) }));
}

function nextHistory(
  limit: number,
  before: NixConfigStatus,
  { revision, target, closures }: StatusInput & { revision: NixConfigStatus['revision'] },
): NixConfigStatus['history'] {
  const old = before.history;
  if (revision === undefined) return old;
  const known = old?.find(({ id }) => id === revision.id);
  const counted = closures !== undefined && target?.revision === revision.id;
  const entry = {
    id: revision.id,
    source: revision.source,
    builtAt: revision.builtAt,
    ...(counted
      ? { closures: closures.closures, ...(closures.default === undefined ? {} : { default: closures.default }) }
      : {
          ...(known?.closures === undefined ? {} : { closures: known.closures }),
          ...(known?.default === undefined ? {} : { default: known.default }),
        }),
  };
  return [entry, ...(old ?? []).filter(({ id }) => id !== revision.id)].slice(0, limit);
}
