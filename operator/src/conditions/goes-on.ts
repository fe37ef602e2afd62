// What goes on by itself though an attempt failed or something else runs: neither needs a person.
import { desiredId, desiredIdWithoutClosure, ORDERS_IN_A_ROW } from '@floe/crds/desired-id';
import type { Attempt, Desired, NixMachine } from '@floe/crds/nix-machine';

/** Numbers of orders that are looked for: more retries by people in one run are not counted. */
const NUMBERS = Array.from({ length: 12 * ORDERS_IN_A_ROW }, (_, number) => number);

/**
 * Whether the machine is told again by itself, since all was well but for a confirmation that did not come. The id of the
 * order says how often it was; where it does not, nothing is promised.
 */
export function isToldAgain(machine: NixMachine, desired: Desired, attempt: Attempt): boolean {
  if (attempt.phase !== 'Unconfirmed' || !desired.go) return false;
  const number = NUMBERS.find((retry) => idsOf(machine, desired, retry).includes(desired.id));
  return number !== undefined && number % ORDERS_IN_A_ROW < ORDERS_IN_A_ROW - 1;
}

/** The ids that an order of this number has, from this version of Floe and from earlier ones. */
function idsOf({ metadata, spec }: NixMachine, desired: Desired, retry: number): string[] {
  const { closure, revision, rollout, run } = desired;
  const of = { machine: metadata.name, retry, closure };
  if (rollout !== undefined) {
    const identity = { ...of, rollout, run: run ?? '' };
    return [desiredId(identity), desiredIdWithoutClosure(identity)];
  }
  const config = spec.configRef?.name ?? '';
  return [
    desiredId({ ...of, rollout: config, run: revision }),
    desiredIdWithoutClosure({ ...of, rollout: config, run: `${revision} ${closure}` }),
  ];
}

/** Whether the agent puts back what it kept last. */
export function isPutBack({ status }: NixMachine): boolean {
  return status?.drift?.state === 'Reverting';
}
