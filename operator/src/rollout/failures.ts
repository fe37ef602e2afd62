// The first machines on which a run failed, by name: for people, and to remember who turned bad while it soaked.

import { rfc3339Exact } from '@floe/crds/rfc3339';
import { compareText } from './order.ts';
import type { Failure, Run } from './run.ts';
import type { Member } from './standing.ts';

/** Machines that a status names at most. */
export const NAMED = 10;

/** The failures of a run: those that are named already stay where they are, while they are failures. */
export function failuresOf(run: Run, members: readonly Member[]): Failure[] {
  const found = new Map<string, Failure>();
  for (const { facts, standing } of members) {
    if (standing.kind === 'failed') {
      found.set(facts.name, { machine: facts.name, message: standing.message, at: rfc3339Exact(standing.at) });
    }
  }
  // Who is to be told again stays until it is: nothing else may tell that it failed. While a run is taken back, the reason
  // why stays to be read.
  const again = new Set(members.filter(({ standing }) => standing.kind === 'again').map(({ facts }) => facts.name));
  const isKept = ({ machine }: Failure) => run.rollback !== undefined || found.has(machine) || again.has(machine);
  const kept = run.failures.filter(isKept);
  const named = new Set(kept.map(({ machine }) => machine));
  const added = [...found.values()]
    .filter(({ machine }) => !named.has(machine))
    .sort((a, b) => compareText(a.at ?? '', b.at ?? '') || compareText(a.machine, b.machine));
  return [...kept, ...added].slice(0, NAMED);
}
