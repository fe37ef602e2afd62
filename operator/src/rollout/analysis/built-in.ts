// The check that every Rollout has: machines that it has updated stay healthy and connected.
import type { RolloutSpec } from '@floe/crds/rollout';
import { wholeSeconds } from '../../conditions/moment.ts';
import { isCoarse } from '../../conditions/presence.ts';
import { spokenSeconds } from '../../conditions/spoken.ts';
import type { Batch } from '../batch.ts';
import { finishedAt } from '../facts.ts';
import { stagesOf } from '../stage.ts';
import type { Member } from '../standing.ts';
import { isReachable } from '../threshold.ts';
import type { BuiltInMemory } from './memory.ts';

/** Comebacks after its update from which on a machine does not hold its connection. */
export const COMEBACKS = 3;
/** What is so soon after an update, in ms, has to do with it; later there are other reasons. */
const SOON = 10 * 60_000;
/** Machines that the status names. */
const NAMED = 10;

type Bad = {
  readonly member: Member;
  readonly at: number;
  readonly message: string;
  /** It loses its connection; else it is sick. */
  readonly flaps: boolean;
};

/** `always`: health counts as long as the run goes on; `soon`: only what happens soon after an update. */
export type BuiltInScope = 'always' | 'soon';

export type BuiltInRules = {
  readonly scope: BuiltInScope;
  readonly successThreshold: number;
  /** Who had turned bad by then was accepted by a person. */
  readonly acceptedAt: number | undefined;
  /** The batch in hand; undefined in a pause and in an analysis. */
  readonly batch: Pick<Batch, 'open' | 'more'> | undefined;
  readonly now: number;
};

export type BuiltIn = {
  readonly memory: BuiltInMemory;
  /** For what the machines that this run has updated fail it, or undefined. */
  readonly failure: string | undefined;
};

/**
 * Whether a run of this Rollout is watched without being told to: its steps have a batch before the last one, which is
 * there to find out whether the others may follow.
 */
export function isWatched(spec: RolloutSpec): boolean {
  return spec.analysis === undefined && stagesOf(spec, false).filter(({ kind }) => kind === 'batch').length > 1;
}

/**
 * Looks at the machines that this run has updated. One that failed its batch counts there, and not here. Those of the
 * steps before, and those of the step in hand, must each keep to the threshold: a batch that can still keep to it with
 * those that it is to update has not failed.
 */
export function builtIn(members: readonly Member[], rules: BuiltInRules): BuiltIn {
  const updated = members.filter(
    ({ told, aside, standing, facts, closure }) =>
      told && !aside && standing.kind === 'updated' && facts.current === closure,
  );
  const { acceptedAt, batch } = rules;
  const found = updated
    .flatMap((member) => badOf(member, rules) ?? [])
    .filter(({ at }) => acceptedAt === undefined || at > acceptedAt)
    .sort((a, b) => a.at - b.at || (a.member.facts.name < b.member.facts.name ? -1 : 1));
  const bad =
    found.some(({ flaps }) => flaps) && isNetwork(members, found) ? found.filter(({ flaps }) => !flaps) : found;
  const memory = {
    turnedBad: bad.length,
    machines: bad.slice(0, NAMED).map(({ member }) => member.facts.name),
    message: bad[0] && textOf(bad[0]),
  };
  const isLost = (ofStep: boolean, expected: number): boolean => {
    const lost = bad.filter(({ member }) => member.toldInStep === ofStep).length;
    const total = updated.filter(({ toldInStep }) => toldInStep === ofStep).length + expected;
    return lost > 0 && !isReachable(lost, total, rules.successThreshold);
  };
  if (!isLost(false, 0) && !isLost(true, (batch?.open ?? 0) + (batch?.more ?? 0)))
    return { memory, failure: undefined };
  const more = bad.length > 1 ? `; and ${bad.length - 1} more turned bad` : '';
  return { memory, failure: `${memory.message ?? ''}${more}` };
}

const textOf = ({ member, message }: Bad): string => `${member.facts.name}: ${message}`;

function badOf(member: Member, rules: BuiltInRules): Bad | undefined {
  // Whoever holds a machine works on it.
  const { well, hold, machine } = member.facts;
  if (hold !== undefined || (well && (machine.status?.connection?.comebacks?.count ?? 0) < COMEBACKS)) return undefined;
  const end = finishedAt(member.facts, rules.now);
  return sickOf(member, end, rules) ?? flapsOf(member, end, rules);
}

function sickOf(member: Member, end: number, { scope }: BuiltInRules): Bad | undefined {
  const { well, wellSince, machine } = member.facts;
  // Times of conditions are cut: one that turned bad in the second of its commit did so by its update.
  if (well || wellSince === undefined || wellSince < wholeSeconds(end)) return undefined;
  if (scope === 'soon' && wellSince > end + SOON) return undefined;
  const units = (machine.status?.failedUnits ?? []).slice(0, 3).join(', ');
  const what = units === '' ? 'turned unhealthy' : `${units} failed`;
  const message = `${what} ${spokenSeconds(Math.max(0, wellSince - end) / 1000)} after its update`;
  return { member, at: wellSince, message, flaps: false };
}

function flapsOf(member: Member, end: number, { scope }: BuiltInRules): Bad | undefined {
  const { machine, connectionSince: at, connectionSinceAtLatest: latest } = member.facts;
  const { connection, attempt } = machine.status ?? {};
  const comebacks = connection?.comebacks;
  if (comebacks === undefined || comebacks.desiredId !== attempt?.desiredId || comebacks.count < COMEBACKS)
    return undefined;
  if (at === undefined || latest === undefined || latest > end + SOON || isCarried(member, scope)) return undefined;
  const message = `lost its connection ${comebacks.count} times within ${spokenSeconds(SOON / 1000)} of its update`;
  return { member, at, message, flaps: true };
}

/** A machine that people carry about comes and goes, whatever it runs. */
function isCarried({ facts: { machine } }: Member, scope: BuiltInScope): boolean {
  return machine.spec.activation?.confirm === 'WhenOnline' || (scope === 'soon' && isCoarse(machine));
}

/** Whether at least half of the machines that the run has not told anything came or went in the same time. */
function isNetwork(members: readonly Member[], bad: readonly Bad[]): boolean {
  const flapping = bad.filter(({ flaps }) => flaps);
  const first = Math.min(...flapping.map(({ member }) => member.facts.connectionSinceAtLatest ?? 0));
  // Of one whose people want no such times kept nobody knows.
  const others = members.filter(
    ({ told, facts: { machine } }) => !told && machine.status?.connection !== undefined && !isCoarse(machine),
  );
  const moved = others.filter(({ facts }) => (facts.connectionSince ?? 0) >= first - SOON);
  return others.length > 0 && moved.length * 2 >= others.length;
}
