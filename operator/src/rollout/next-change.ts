// When time alone leads on: what a run waits for that comes by itself, and the moments at which to look again.
import type { Position } from './course.ts';
import { goesOn, type Run } from './run.ts';
import type { Member } from './standing.ts';
import type { Hold } from './tell.ts';
import { type Moment, momentOf, opensFor, timeHold } from './time-holds.ts';
import type { Times } from './times.ts';

/** The first window that opens for those who wait for one. */
export type Opening = { readonly at: number; readonly message: string };

type Look = { readonly times: Times; readonly now: number };

/** The first opening that machines wait for; `hold` is what the plan says of them. */
export function openingOf(moment: Moment, turn: readonly Member[], hold: readonly Hold[]): Opening | undefined {
  if (moment.times.isEmpty) return undefined;
  const waiting = new Map(hold.flatMap((one) => (one.reason === 'OutsideWindow' ? [[one.machine, one.message]] : [])));
  let first: Opening | undefined;
  for (const member of turn) {
    const message = waiting.get(member.facts.name);
    if (message === undefined) continue;
    const at = opensFor(moment, member.facts, awaited(moment, member));
    if (at !== undefined && (first === undefined || at < first.at)) first = { at, message };
  }
  return first;
}

/** What a machine whose turn it is does next: it fetches where it must and has not, else it switches. */
function awaited(moment: Moment, { standing, facts }: Member): 'Download' | 'Switch' {
  if (standing.kind === 'fetched' || standing.kind === 'again') return 'Switch';
  return timeHold(moment, facts, 'Download') === undefined ? 'Switch' : 'Download';
}

/** The moments at which windows and freezes change for those whose turn it is. */
export function timeChanges(moment: Moment, turn: readonly Member[]): number[] {
  const { times, now, hurry } = moment;
  if (times.isEmpty || turn.length === 0 || (hurry !== undefined && now >= hurry)) return [];
  const found = new Set<number>();
  const freeze = times.freeze(now).until;
  if (freeze !== undefined) found.add(freeze);
  for (const { facts } of turn) {
    // Windows do not matter to a machine that is off or on hold.
    if (!facts.online || facts.hold !== undefined) continue;
    for (const action of ['Switch', 'Download'] as const) {
      const change = times.changeAfter(facts, { action, at: now, hurry });
      if (change !== undefined) found.add(change);
    }
  }
  return [...found];
}

/**
 * When time alone leads on: the first moment after now at which a pause, a soak, a hold or a freeze ends, or a window
 * opens. Time limits are none of that.
 */
export function nextChangeOf(
  position: Position,
  opening: Opening | undefined,
  { times, now }: Look,
): number | undefined {
  const { state, stage, members } = position;
  const { run } = state;
  if (!(goesOn(run) || run.completed)) return undefined;
  const moments = opening === undefined ? [] : [opening.at];
  if (goesOn(run) && stage.kind === 'pause' && stage.durationMs !== undefined) {
    moments.push((run.step.startedAt ?? now) + stage.durationMs);
  }
  const waiting = members.filter(({ standing }) => !DONE.includes(standing.kind));
  for (const member of waiting) moments.push(...endsOf(member, run));
  const { hurry } = momentOf(position, { times, now });
  const freeze = times.freeze(now);
  if (waiting.length > 0 && freeze.frozen && (hurry === undefined || now < hurry)) moments.push(freeze.until);
  const coming = moments.filter((moment) => moment > now);
  return coming.length === 0 ? undefined : coming.reduce((a, b) => Math.min(a, b));
}

/** Standings that time alone does not change. */
const DONE: readonly string[] = ['updated', 'notBuilt', 'failed'];

/** When what keeps a machine back ends by itself. */
function endsOf({ standing, facts }: Member, { urgent }: Run): number[] {
  const ends = standing.kind === 'soaking' ? [standing.until] : [];
  if (facts.hold?.until !== undefined) ends.push(facts.hold.until);
  if (facts.waitsForUser !== undefined && urgent === undefined) ends.push(facts.waitsForUser.until);
  return ends;
}
