// The words in which a rollout speaks of machines.
import type { Attempt } from '@floe/crds/nix-machine';
import { shortRevision } from '../conditions/spoken.ts';
import { attemptMessage } from '../conditions/wording.ts';
import type { Facts } from './facts.ts';

/** Characters of a message about one machine. */
const LIMIT = 900;

/** What failed on a machine, and what it runs now. */
export function attemptFailure(facts: Facts, attempt: Attempt): string {
  const what = whatFailed(facts, attempt).replace(/\.$/, '');
  const back = attempt.phase === 'RolledBack' || attempt.phase === 'Unconfirmed';
  const told = /rolled back|roll back|still runs/i.test(what);
  const revision = facts.machine.status?.current?.revision;
  const now = revision === undefined ? '' : ` to ${shortRevision(revision)}`;
  return clip(back && !told ? `${what}, rolled back${now}` : what);
}

function whatFailed({ machine }: Facts, attempt: Attempt): string {
  const said = attemptMessage(machine, attempt);
  if (said !== '') return said;
  const { failedUnits, phase, exitCode } = attempt;
  const units = failedUnits ?? [];
  const exit = exitCode === undefined ? '' : ` (exit ${exitCode})`;
  if (units.length > 0) return `${units.slice(0, 3).join(', ')} failed${exit}`;
  if (phase === 'Unconfirmed') return 'Floe was not reached over a new connection in time';
  if (phase === 'Cancelled') return 'cancelled on the machine';
  return exitCode === undefined ? 'the switch failed' : `switch-to-configuration failed${exit}`;
}

/** A Rollout as the arguments of a command name it, `web -n fleet`; manifests without a namespace leave it out. */
export function asArguments({ name, namespace }: { readonly name: string; readonly namespace?: string }): string {
  return namespace === undefined ? name : `${name} -n ${namespace}`;
}

/** Cuts a text that is too long for its field. */
export function clip(text: string, limit: number = LIMIT): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/** `m1`, `m1 and m2`, `m1, m2 and 3 more`. */
export function names(list: readonly string[]): string {
  if (list.length <= 2) return list.join(' and ');
  return list.length === 3
    ? `${list[0]}, ${list[1]} and ${list[2]}`
    : `${list[0]}, ${list[1]} and ${list.length - 2} more`;
}
