// Goes that are taken back: a machine that still fetches when its window ends switches in the next one.
import { isPreparing } from './facts.ts';
import { goesOn, type Run } from './run.ts';
import type { Member } from './standing.ts';
import type { Order } from './tell.ts';
import { type Moment, timeHold } from './time-holds.ts';

/**
 * Orders to fetch only, for machines that got their go and say that they have not begun to switch. The order is the same,
 * its go is not. One that begins at that very moment finishes: its agent takes nothing back.
 */
export function withdrawn(members: readonly Member[], run: Run, moment: Moment): Order[] {
  if (moment.times.isEmpty || !(goesOn(run) || run.completed)) return [];
  return members.flatMap(({ facts, closure, standing, told }) => {
    const { desired, own, online } = facts;
    const isWaiting = told && UNDER_WAY.includes(standing.kind) && online && desired?.go === true;
    if (!isWaiting || own === undefined || !isPreparing(own) || closure !== desired.closure) return [];
    if (timeHold(moment, facts, 'Switch') === undefined) return [];
    const reason = desired.reason === 'Joined' || desired.reason === 'Retry' ? desired.reason : 'Rollout';
    return [{ machine: facts.name, closure, revision: run.revision, reason, id: desired.id, byItself: 0 }];
  });
}

/** It has its go; also one that shall be told again since it took too long, and has not begun still. */
const UNDER_WAY: readonly string[] = ['updating', 'again'];

/** When a window ends for machines that could be taken back then. */
export function windowEnds(members: readonly Member[], { times, now, hurry }: Moment): number[] {
  if (times.isEmpty) return [];
  const ends = new Set<number>();
  for (const { facts, standing, told } of members) {
    const isFetching = told && standing.kind === 'updating' && (facts.own === undefined || isPreparing(facts.own));
    const change = isFetching ? times.changeAfter(facts, { action: 'Switch', at: now, hurry }) : undefined;
    if (change !== undefined) ends.add(change);
  }
  return [...ends];
}
