// What happened to a Rollout from one status to the next, as Events.
import type { RolloutStatus } from '@floe/crds/rollout';
import { shortRevision } from '../conditions/spoken.ts';
import type { Happening } from '../kube/events.ts';
import { analysisEvents } from './analysis/analysis-events.ts';
import { hasCompleted } from './run.ts';

const normal = (reason: string, message: string): Happening => ({ type: 'Normal', reason, message });
const warning = (reason: string, message: string): Happening => ({ type: 'Warning', reason, message });

/** The Events between two statuses, in the order in which things happened. */
export function eventsBetween(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  if (after.run === undefined) return [];
  const isNew = before?.run !== after.run;
  return [
    ...orderEvents(before, after),
    ...(isNew ? startEvents(before, after) : []),
    ...failureEvents(isNew ? undefined : before, after),
    ...analysisEvents(before, after),
    ...stepEvents(isNew ? undefined : before, after),
    ...waitEvents(isNew ? undefined : before, after),
    ...phaseEvents(isNew ? undefined : before, after),
  ];
}

/** Orders of people that are new, oldest first. */
function orderEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const known = new Set(before?.orders?.map(({ verb, value }) => `${verb} ${value}`));
  return (after.orders ?? [])
    .filter(({ verb, value }) => !known.has(`${verb} ${value}`))
    .map(({ verb, by }) => normal('Ordered', by === undefined ? `${verb} was ordered` : `${verb} was ordered by ${by}`))
    .toReversed();
}

function startEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const events: Happening[] = [];
  const revision = shortRevision(after.revision ?? '');
  const wasOpen = before?.run !== undefined && !hasCompleted(before) && before.phase !== 'Failed';
  if (wasOpen && before.revision !== undefined) {
    const at = before.step?.column === undefined ? '' : ` at step ${before.step.column}`;
    events.push(
      normal('Superseded', `the run of ${shortRevision(before.revision)} was superseded${at} by ${revision}`),
    );
  }
  const total = after.counts?.total ?? 0;
  if (total > 0)
    events.push(normal('Started', `run of ${revision} started: ${total} machines, ${after.step?.total ?? 1} steps`));
  return events;
}

function stepEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const [from, to] = [before?.step?.index, after.step?.index];
  const events: Happening[] = [];
  if (before?.lastHandled?.['approve'] !== after.lastHandled?.['approve'] && from !== undefined && from !== to) {
    events.push(normal('Approved', `step ${before?.step?.column ?? ''} was approved`));
  }
  if (from !== undefined && to !== undefined && to > from) {
    events.push(normal('StepCompleted', `step ${before?.step?.column ?? ''} is done`));
  }
  const isRunning = after.phase === 'Progressing' || after.phase === 'Paused';
  if (from !== to && isRunning) events.push(normal('StepStarted', `step ${after.step?.column ?? ''} started`));
  return events;
}

/** Once for each wait for a window or the end of a freeze; that it is suspended the phase says. */
function waitEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const { waiting, conditions } = after;
  if (waiting === undefined || waiting.reason === 'Suspended') return [];
  if (before?.waiting?.reason === waiting.reason && before.waiting.since === waiting.since) return [];
  const message = conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
  return [normal(waiting.reason, message)];
}

function failureEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const known = new Set(before?.failures?.map(({ machine, at }) => `${machine} ${at ?? ''}`));
  return (after.failures ?? [])
    .filter(({ machine, at }) => !known.has(`${machine} ${at ?? ''}`))
    .map(({ machine, message }) => warning('MachineFailed', `${machine}: ${message}`));
}

function phaseEvents(before: RolloutStatus | undefined, after: RolloutStatus): Happening[] {
  const sameStop = before?.stopped?.reason === after.stopped?.reason;
  if (before?.phase === after.phase && sameStop && before?.step?.index === after.step?.index) return [];
  const message = after.conditions?.find(({ type }) => type === 'Ready')?.message ?? '';
  switch (after.phase) {
    case 'Paused':
      return [normal('Paused', message)];
    case 'RollingBack':
      return before?.phase === 'RollingBack' ? [] : [warning('RollingBack', message)];
    case 'Failed':
      return [warning(after.stopped?.reason ?? 'Failed', message)];
    case 'Completed':
      return before !== undefined && hasCompleted(before) ? [] : [normal('Completed', message)];
    default:
      return [];
  }
}
