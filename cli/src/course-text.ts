// The course of a rollout as people read it: one line per step, what it waits for, and the end.
import type { Rollout, RolloutSpec } from '@floe/crds/rollout';
import { shortRevision, spokenSeconds } from '@floe/operator/conditions/spoken';
import type { Course, Wave } from '@floe/operator/rollout/forecast';
import { clockOf, table } from './table.ts';

/** The lines of a course; `machines` names who moves when. */
export function courseText(
  course: Course,
  { rollout, now, machines }: { rollout: Rollout; now: Date; machines: boolean },
): string {
  const clock = (time: string) => clockOf(time, now);
  const steps = Object.entries(Object.groupBy(course.waves, ({ step }) => String(step)));
  const rows = steps.map(([step, waves = []]) => [
    stepName(rollout.spec, Number(step)),
    clock(waves[0]?.at ?? ''),
    amounts(waves),
    waitsOf(waves),
  ]);
  const head = headline(course, clock);
  const body =
    rows.length === 0 ? 'nobody is told anything' : table([['STEP', 'FROM', 'MACHINES', 'THEN IT WAITS FOR'], ...rows]);
  const moves = machines ? ['', ...course.waves.flatMap((wave) => moved(wave, clock))] : [];
  return [head, body, ...moves, '', endOf(course, clock), ...leftOf(course), assumptions(course, rollout.spec)].join(
    '\n',
  );
}

type Clock = (time: string) => string;

function headline({ rollout, revision, from, startedAt, approved }: Course, clock: Clock): string {
  const parts = [
    `Rollout ${rollout}`,
    revision === undefined ? 'no revision yet' : shortRevision(revision),
    ...(from === undefined ? [] : [`from ${shortRevision(from)}`]),
    ...(startedAt === undefined ? [] : [`started ${clock(startedAt)}`]),
    ...(approved ? ['each pause for approval taken as approved at once'] : []),
  ];
  return parts.join('   ');
}

/** `3 batch of 10 %`, `4 pause for approval`, `5 the rest`; steps count from 1. */
export function stepName({ steps = [] }: RolloutSpec, index: number): string {
  const step: Record<string, unknown> | undefined = steps[index];
  const number = index + 1;
  if (step === undefined) return `${number} ${steps.length === 0 ? 'everyone' : 'the rest'}`;
  const { batch, pause } = steps[index] ?? {};
  if (batch !== undefined) {
    const size = batch.size === undefined ? 'by label' : `of ${String(batch.size).replace('%', ' %')}`;
    return `${number} batch ${size}`;
  }
  if (pause !== undefined) {
    return `${number} pause ${pause.duration === undefined ? 'for approval' : `of ${pause.duration}`}`;
  }
  return `${number} ${Object.keys(step)[0] ?? 'step'}`;
}

function amounts(waves: readonly Wave[]): string {
  const told = (name: 'dispatch' | 'fetch' | 'rollback', verb: string): string[] => {
    const sizes = waves.map((wave) => wave[name].length).filter((size) => size > 0);
    const total = sizes.reduce((a, b) => a + b, 0);
    return total === 0 ? [] : [`${total} ${verb}${sizes.length > 1 ? ` in ${sizes.length} waves` : ''}`];
  };
  const parts = [...told('fetch', 'fetch'), ...told('dispatch', 'switch'), ...told('rollback', 'return')];
  return parts.length === 0 ? '-' : parts.join(', ');
}

function waitsOf(waves: readonly Wave[]): string {
  return waves.findLast(({ waitsFor }) => waitsFor !== undefined)?.waitsFor ?? '';
}

function moved(wave: Wave, clock: Clock): string[] {
  const said = (told: Wave['dispatch'], verb: string): string[] =>
    told.length === 0 ? [] : [`  ${clock(wave.at)}  ${verb}  ${told.map(({ machine }) => machine).join(' ')}`];
  return [...said(wave.fetch, 'fetch '), ...said(wave.dispatch, 'switch'), ...said(wave.rollback, 'return')];
}

function endOf({ end }: Course, clock: Clock): string {
  switch (end.kind) {
    case 'ended':
      return `ends ${clock(end.at)}, ${end.phase}: ${end.message}`;
    case 'waits':
      return `waits from ${clock(end.at)} on: ${end.waitsFor}`;
    case 'cut':
      return `planned until ${clock(end.at)}: ${end.waitsFor}`;
    default:
      return end satisfies never;
  }
}

/** Reasons by count, the first machines of each by name. */
function leftOf({ left }: Course): string[] {
  const byReason = Map.groupBy(left, ({ reason }) => reason);
  return [...byReason].map(([reason, holds]) => {
    const named = holds.slice(0, 5).map(({ machine }) => machine);
    const more = holds.length > named.length ? ` and ${holds.length - named.length} more` : '';
    return `without it at the end: ${named.join(', ')}${more}: ${reason}, ${holds[0]?.message ?? ''}`;
  });
}

function assumptions({ pace }: Course, { steps = [], analysis }: RolloutSpec): string {
  const from =
    pace.known === 0 ? 'assumed, no batch is known yet' : `the median of ${pace.known} that took it, as of now`;
  const measured = analysis !== undefined || steps.some((step) => step.analysis !== undefined);
  const good = measured ? '; what is measured counts as good' : '';
  return `a machine takes ${spokenSeconds(pace.goMs / 1000)} from its go (${from}), comes up healthy, and stays online or offline as it is${good}`;
}
