// The condition Drifted and what is said of a machine that something else than Floe changed.
import type { Drift } from '@floe/crds/drift';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Condition } from '@floe/crds/object-meta';
import { closureName } from './closure-name.ts';
import { type Standing, specOf } from './standing.ts';

type Draft = Pick<Condition, 'status' | 'reason' | 'message'>;

/** Whether it was restarted out of a revision that mode `test` keeps until then: no interference. */
export function endedTestMode(machine: NixMachine): boolean {
  const { current, booted } = machine.status ?? {};
  return specOf(machine).activation?.mode === 'test' && current !== undefined && booted?.closure === current.closure;
}

/** What happened, what is found, what is done about it and what a person can do. */
export function driftMessage(drift: Drift): string {
  return `${happened(drift)}; ${done(drift)}`;
}

function happened({ cause, found, expected }: Drift): string {
  const other = found === undefined ? 'another system' : closureName(found);
  const ours = expected === undefined ? 'what was kept last' : closureName(expected);
  switch (cause) {
    case 'ManualSwitch':
      return `somebody switched it by hand to ${other}`;
    case 'UserRollback':
      return `somebody rolled it back to ${other}`;
    case 'LocalRebuild':
      return `${other} was built or brought there by somebody else than Floe`;
    case 'FailedReboot':
      return `it was to boot ${ours}, but came up with ${other}`;
    case 'BootDefaultChanged':
      return `it runs ${ours}, but the next boot starts ${other}`;
    default:
      return `${cause}: ${other} in place of ${ours}`;
  }
}

function done({ state }: Drift): string {
  switch (state) {
    case 'Reverting':
      return 'it is being put back';
    case 'Fights':
      return 'it was put back 3 times within an hour and changed again, so it is left alone: find what changes it';
    default:
      return 'left alone: set spec.activation.drift to Revert to put it back, or roll out what it should run';
  }
}

/** The condition Drifted. An agent says what happened some seconds after it says what runs, and a visit by SSH never does. */
export function drifted(machine: NixMachine, standing: Standing): Draft {
  const { status } = machine;
  const { drift, current } = status ?? {};
  if (drift !== undefined) {
    const reason = drift.state === 'Fights' ? 'Fights' : word(drift.cause);
    return { status: 'True', reason, message: driftMessage(drift) };
  }
  if (current === undefined) {
    return { status: 'Unknown', reason: 'NeverReported', message: 'it has not said what it runs' };
  }
  if (standing.kind === 'diverged' && status?.held === undefined && !endedTestMode(machine)) {
    return {
      status: 'Unknown',
      reason: 'Diverged',
      message: 'it runs something else than it was told; what changed it is not known',
    };
  }
  return { status: 'False', reason: 'NoDrift', message: 'nothing but Floe changed it' };
}

function word(text: string): string {
  const clean = text.replaceAll(/[^A-Za-z0-9]/g, '');
  return /^[A-Za-z]/.test(clean) ? clean : 'Unknown';
}

/** What root activated by hand; undefined where nothing is. */
export function heldByHandMessage({ status }: NixMachine): string | undefined {
  const held = status?.held;
  if (held === undefined) return undefined;
  const by = held.by === undefined ? '' : ` by ${held.by}`;
  return `held: ${closureName(held.closure)} was activated by hand${by} at ${held.since}; floe-agent release on it ends this`;
}

/** What the next boot would undo; undefined where it starts what runs, or what it should. */
export function nextBootMessage({ status }: NixMachine): string | undefined {
  const { reboot, bootDefault } = status ?? {};
  if (reboot?.undoes !== true || bootDefault === undefined) return undefined;
  return `the next boot would undo what runs: it starts ${closureName(bootDefault.closure)}`;
}
