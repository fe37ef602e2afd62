// The order to hurry: `floe.dev/urgent` on a Rollout, for the run in hand.
import type { Verb } from '@floe/crds/constants';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { givenBy } from './order-record.ts';
import { goesOn, type Run } from './run.ts';
import type { State } from './state.ts';

/**
 * The state once the annotation was seen to. It is for the run that is in hand after this very plan, also one that begins
 * in it: the annotation often comes with the fix that it is for. A run that has ended can't hurry.
 */
export function withUrgent(
  state: State,
  rollout: Rollout,
  { verbs, now }: { verbs: ReadonlyMap<Verb, string>; now: number },
): State {
  const value = verbs.get('urgent');
  if (value === undefined || !goesOn(state.run)) return state;
  const { urgent } = state.run;
  return { ...state, run: { ...state.run, urgent: { at: urgent?.at ?? now, by: givenBy(rollout, 'urgent', value) } } };
}

/** The part of the status that says so. */
export function urgentStatus({ urgent }: Run): Pick<RolloutStatus, 'urgent'> {
  if (urgent === undefined) return {};
  return { urgent: { at: rfc3339Exact(urgent.at), ...(urgent.by === undefined ? {} : { by: urgent.by }) } };
}

/** The verbs that a plan counts as handled where there is no run yet: the order to hurry waits for the first. */
export function handledWithoutRun(verbs: ReadonlyMap<Verb, string>): ReadonlyMap<Verb, string> {
  return new Map([...verbs].filter(([verb]) => verb !== 'urgent'));
}
