// A rollout as people see it: a page of its steps, or one line per change.
import { shortRevision } from '@floe/operator/conditions/spoken';
import { clockOf } from '../table.ts';
import type { RolloutView, StepView } from './rollout-view.ts';

const MARKS: Readonly<Record<StepView['state'], string>> = { done: '✔', now: '◌', failed: '✘', later: '·' };
/** Machines in hand that are named. */
const NAMED = 6;

/** The page, without colour. */
export function rolloutPage(view: RolloutView, now: Date): string {
  const { steps, counts } = view;
  const width = Math.max(0, ...steps.map(({ name }) => name.length));
  const lines = steps.map(({ name, state, progress }) => {
    const more = state === 'now' || state === 'failed' ? doing(view) : '';
    const count = progress === undefined ? '' : `${progress.done}/${progress.of}   `;
    return `${MARKS[state]} ${name.padEnd(width)}   ${count}${more}`.trimEnd();
  });
  return [headline(view, now), ...lines, view.message, ...(counts === undefined ? [] : [totals(counts)])].join('\n');
}

function headline({ rollout, revision, source, from, startedAt, estimatedEnd, phase }: RolloutView, now: Date): string {
  const started = startedAt === undefined ? [] : [`started ${clockOf(startedAt, now)}`];
  const parts = [
    `Rollout ${rollout}`,
    ...(revision === undefined
      ? ['no revision yet']
      : [`${shortRevision(revision)}${source === undefined ? '' : ` ${source}`}`]),
    ...(from === undefined ? [] : [`from ${shortRevision(from)}`]),
    phase,
    ...(estimatedEnd === undefined ? started : [[...started, endOf(estimatedEnd, now)].join(', ')]),
  ];
  return parts.join('   ');
}

/** An estimate that has passed says so. */
function endOf(estimatedEnd: string, now: Date): string {
  const clock = clockOf(estimatedEnd, now);
  return Date.parse(estimatedEnd) < now.getTime() ? `was to end about ${clock}` : `ends about ${clock}`;
}

function doing({ inHand }: RolloutView): string {
  const named = inHand.slice(0, NAMED).map(({ machine, phase }) => `${machine} ${phase}`);
  const more = inHand.length > NAMED ? [`and ${inHand.length - NAMED} more`] : [];
  return [...named, ...more].join(' · ');
}

function totals(counts: NonNullable<RolloutView['counts']>): string {
  const parts = [
    `updated ${counts.updated} of ${counts.total}`,
    `unavailable ${counts.unavailable}`,
    `offline ${counts.offline}`,
    `failed ${counts.failed}`,
    ...(counts.notBuilt > 0 ? [`not built ${counts.notBuilt}`] : []),
    ...(counts.pendingReboot > 0 ? [`reboot pending ${counts.pendingReboot}`] : []),
  ];
  return parts.join(' · ');
}

/** One line without its time, for a pipe: the same as long as nothing changes. */
export function rolloutLine({ rollout, phase, revision, steps, counts, message }: RolloutView): string {
  const at = steps.findIndex(({ state }) => state === 'now' || state === 'failed') + 1;
  const step = `${at === 0 ? steps.length : at}/${steps.length}`;
  const { updated = 0, total = 0, failed = 0 } = counts ?? {};
  const what = `${rollout} ${shortRevision(revision ?? '-')} ${phase} step ${step} updated ${updated}/${total}`;
  return `${what} failed ${failed}: ${message}`;
}
