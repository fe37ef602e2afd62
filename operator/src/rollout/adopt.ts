// Machines that run the closure of the revision without having been told it: their order is written anew, once.
import { desiredId } from '@floe/crds/desired-id';
import type { Position } from './course.ts';
import { awaitsReboot } from './reboot-policy.ts';
import type { Member } from './standing.ts';
import type { Order } from './tell.ts';

/**
 * Orders that change nothing on a machine and make its status name the revision that it runs: a commit that touches no
 * closure, or a machine that ran it before Floe knew it. Only once the run is complete, so that they never count as told
 * in a step.
 */
export function adoptions({ state, members }: Pick<Position, 'state' | 'members'>, rollout: string): Order[] {
  const { run } = state;
  if (!run.completed) return [];
  return members.flatMap(({ facts, closure, standing }) =>
    closure !== undefined && standing.kind === 'updated' && mayAdopt(facts, closure, run.revision)
      ? [
          {
            machine: facts.name,
            closure,
            revision: run.revision,
            reason: 'Rollout' as const,
            id: desiredId({ rollout, run: `${run.id} runs it already`, machine: facts.name, retry: 0, closure }),
            byItself: 0,
          },
        ]
      : [],
  );
}

function mayAdopt(facts: Member['facts'], closure: string, revision: string): boolean {
  const { current, desired, online, inHand, hold } = facts;
  if (current !== closure || !online || inHand || hold !== undefined) return false;
  // Another order would take the place of the one that waits, and its boot entry go back.
  if (awaitsReboot(facts)) return false;
  return desired === undefined || desired.closure !== closure || desired.revision !== revision;
}
