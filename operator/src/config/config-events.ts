// Decides which Events tell people about a NixConfig: what changed between two statuses, each change once.
import type { NixConfig, NixConfigStatus } from '@floe/crds/nix-config';
import type { BuildTask } from './build-task.ts';
import type { JobRemoval } from './plan-jobs.ts';
import type { Words } from './wording.ts';

export type ConfigEvent = {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
};

type EventInput = {
  readonly status: NixConfigStatus;
  readonly words: Words;
  readonly create: BuildTask | undefined;
  readonly remove: readonly JobRemoval[];
};

/** Reasons that are worth an Event when they begin; the others are only steps. */
const QUIET = new Set(['Resolving', 'Building', 'Suspended', 'NoMachines']);

const OF_JOBS = new Set(['BuildStarted', 'BuildSuperseded']);

/** Whether an Event tells of a Job that was started or ended, which stays so whatever else fails. */
export function isOfJob({ reason }: ConfigEvent): boolean {
  return OF_JOBS.has(reason);
}

/** The Events of one plan, in order. A plan that changes nothing gives none. */
export function eventsOf(config: NixConfig, { status, words, create, remove }: EventInput): ConfigEvent[] {
  const before = config.status ?? {};
  const events: ConfigEvent[] = [];
  const normal = (reason: string, message: string) => events.push({ type: 'Normal', reason, message });
  if (status.checkedAt !== before.checkedAt && status.build?.source !== undefined) {
    normal('SourceChanged', `${status.build.source} is new: revision ${status.build.revision}`);
  }
  events.push(...remove.flatMap(endedJob));
  if (create !== undefined) {
    const { length } = create.machines;
    normal(
      'BuildStarted',
      `Job ${create.job} builds ${create.source.display} for ${length} machine${length === 1 ? '' : 's'}`,
    );
  }
  const ready = before.conditions?.find(({ type }) => type === 'Ready');
  const changed = ready?.reason !== words.reason || status.revision?.id !== before.revision?.id;
  if (changed && !QUIET.has(words.reason)) {
    events.push({ type: words.ready === 'True' ? 'Normal' : 'Warning', reason: words.reason, message: words.message });
  }
  return events;
}

function endedJob({ name, why }: JobRemoval): ConfigEvent[] {
  switch (why) {
    case 'ended':
      return [];
    case 'superseded':
      return [
        {
          type: 'Normal',
          reason: 'BuildSuperseded',
          message: `Job ${name} was ended: a newer revision takes its place`,
        },
      ];
    case 'suspended':
      return [{ type: 'Normal', reason: 'BuildSuspended', message: `Job ${name} was ended: spec.suspend is true` }];
  }
}
