// With `offline: Skip`: who was passed over when the run completed, and who returned and got the revision since.
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import { timeMs } from '../conditions/moment.ts';
import type { Position } from './course.ts';
import { NAMED } from './failures.ts';
import { compareText } from './order.ts';
import type { Member } from './standing.ts';
import type { Context } from './state.ts';

type Skipped = NonNullable<RolloutStatus['skipped']>;

/** Read off the machines as they are, so that a restart finds the same. */
export function skippedOf(
  { state, members }: Pick<Position, 'state' | 'members'>,
  { snapshot }: Context,
): Pick<RolloutStatus, 'skipped'> {
  const { run, history } = state;
  if (snapshot.rollout.spec.offline !== 'Skip' || !run.completed) return {};
  const end = timeMs(history.find((entry) => entry.run === run.id)?.endedAt);
  const off = members
    .filter(isPassedOver)
    .map(({ facts }) => facts.name)
    .sort(compareText);
  const back = members.flatMap((member) => returnOf(member, end)).sort(byTime);
  const skipped: Skipped = {
    count: off.length,
    ...(off.length === 0 ? {} : { machines: off.slice(0, NAMED) }),
    returned: back.length,
    ...(back.length === 0
      ? {}
      : { last: back.slice(0, NAMED).map(({ machine, at }) => ({ machine, at: rfc3339Exact(at) })) }),
  };
  return { skipped };
}

const WITHOUT: readonly string[] = ['pending', 'busy', 'fetching', 'fetched', 'again', 'changed'];

function isPassedOver({ facts, standing }: Member): boolean {
  return !facts.online && WITHOUT.includes(standing.kind);
}

type Return = { readonly machine: string; readonly at: number };

/** A machine that was there in the run and has it by an order that came after the end. */
function returnOf({ facts, standing, told, joiner }: Member, end: number | undefined): Return[] {
  const at = timeMs(facts.desired?.since);
  const isLater = told && !joiner && at !== undefined && end !== undefined && at > end;
  return isLater && standing.kind === 'updated' ? [{ machine: facts.name, at }] : [];
}

function byTime(a: Return, b: Return): number {
  return b.at - a.at || compareText(a.machine, b.machine);
}
