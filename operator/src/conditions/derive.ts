// Derives a machine's conditions from the rest of its status: the one meaning of a machine's state.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Condition } from '@floe/crds/object-meta';
import { rfc3339 } from '@floe/crds/rfc3339';
import { drifted, nextBootMessage } from './drift.ts';
import { agentOutdated } from './outdated-agent.ts';
import { isCoarse, presenceTime } from './presence.ts';
import { lacksSecret } from './secrets.ts';
import { shortRevision } from './spoken.ts';
import { sshTargetOf } from './ssh-target.ts';
import { isHealthy, isHeld, runsDesired, type Standing, standingOf } from './standing.ts';
import { failedUnitsMessage, rebootMessage, statusMessage } from './wording.ts';

/** The conditions that Floe derives, in the order in which they are written. */
export const MACHINE_CONDITIONS = [
  'Ready',
  'Reconciling',
  'Stalled',
  'Online',
  'UpToDate',
  'Healthy',
  'Drifted',
  'RebootRequired',
  'AgentOutdated',
] as const;

type Draft = Pick<Condition, 'status' | 'reason' | 'message'>;

const UNITS_FAILED = 'UnitsFailed';
/** A file of spec.secrets that is not on the machine as the spec says. */
const SECRET_FAILED = 'SecretFailed';
/** Activated by hand, and held. */
const HELD = 'Held';

/**
 * Derives all conditions of a machine. Pure: `now` only stamps changes and tells whether a hold is over.
 * A condition keeps its `lastTransitionTime` while its status stays. Conditions of others are kept, after ours.
 * `observedGeneration` is the status' own: whoever wants it raised raises it there before.
 */
export function deriveConditions(machine: NixMachine, now: Date): Condition[] {
  const standing = standingOf(machine);
  const previous = new Map((machine.status?.conditions ?? []).map((c) => [c.type, c]));
  const drafts: Record<(typeof MACHINE_CONDITIONS)[number], Draft> = {
    Ready: ready(machine, standing, { now, previous: previous.get('Ready') }),
    Reconciling: reconciling(standing, statusMessage(machine, standing, now)),
    Stalled: stalled(standing, statusMessage(machine, standing, now)),
    Online: online(machine),
    UpToDate: upToDate(machine),
    Healthy: healthy(machine),
    Drifted: drifted(machine, standing),
    RebootRequired: rebootRequired(machine),
    AgentOutdated: agentOutdated(machine, standing),
  };
  const ours = MACHINE_CONDITIONS.map((type) => stamp(machine, { type, draft: drafts[type], now }, previous.get(type)));
  const known = new Set<string>(MACHINE_CONDITIONS);
  const others = [...previous.values()].filter((c) => !known.has(c.type)).sort((a, b) => (a.type < b.type ? -1 : 1));
  return [...ours, ...others];
}

function stamp(
  machine: NixMachine,
  { type, draft, now }: { type: string; draft: Draft; now: Date },
  previous: Condition | undefined,
): Condition {
  const kept = previous?.status === draft.status ? previous.lastTransitionTime : undefined;
  const generation = machine.status?.observedGeneration;
  return {
    type,
    ...draft,
    lastTransitionTime: type === 'Online' ? presenceTime(machine, kept ?? rfc3339(now)) : (kept ?? rfc3339(now)),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

/** What was activated by hand is the reason, where it is held. */
function orHeld({ status }: NixMachine, reason: string): string {
  return status?.held === undefined ? reason : HELD;
}

function ready(
  machine: NixMachine,
  standing: Standing,
  { now, previous }: { now: Date; previous: Condition | undefined },
): Draft {
  const message = statusMessage(machine, standing, now);
  const not = (reason: string): Draft => ({ status: 'False', reason, message });
  const sick = isHealthy(machine) === false;
  switch (standing.kind) {
    case 'blocked':
      return not(standing.reason);
    case 'unordered':
      return not(isHeld(machine, now) ? 'OnHold' : (machine.status?.waiting?.reason ?? 'NotTold'));
    case 'pending':
      // An order that it may not or can't carry out yet makes nobody unready, and nobody ready who was not before.
      if (sick) return not(UNITS_FAILED);
      return previous?.status === 'True' || previous?.reason === UNITS_FAILED
        ? { status: 'True', reason: 'Pending', message }
        : not('Pending');
    case 'working':
      return not(word(standing.attempt?.phase ?? 'Told'));
    case 'failed':
      return not(orHeld(machine, word(standing.attempt.phase)));
    case 'diverged':
      return not(orHeld(machine, 'Diverged'));
    case 'settled':
      if (sick) return not(UNITS_FAILED);
      return lacksSecret(machine) ? not(SECRET_FAILED) : { status: 'True', reason: 'UpToDate', message };
  }
}

const IDLE: Draft = { status: 'False', reason: 'Idle', message: 'nothing is in hand' };
const NOT_STALLED: Draft = { status: 'False', reason: 'NotStalled', message: 'nothing is in the way' };

function reconciling(standing: Standing, message: string): Draft {
  switch (standing.kind) {
    case 'unordered':
      return { status: 'True', reason: 'NotTold', message };
    case 'working':
      return { status: 'True', reason: word(standing.attempt?.phase ?? 'Told'), message };
    case 'failed':
      return standing.goesOn ? { status: 'True', reason: word(standing.attempt.phase), message } : IDLE;
    case 'diverged':
      return standing.goesOn ? { status: 'True', reason: 'Reverting', message } : IDLE;
    default:
      return IDLE;
  }
}

/** Stalled: nothing goes on by itself; it takes a person, or a new order. */
function stalled(standing: Standing, message: string): Draft {
  switch (standing.kind) {
    case 'blocked':
      return { status: 'True', reason: standing.reason, message };
    case 'failed':
      return standing.goesOn ? NOT_STALLED : { status: 'True', reason: word(standing.attempt.phase), message };
    case 'diverged':
      return standing.goesOn ? NOT_STALLED : { status: 'True', reason: 'Diverged', message };
    default:
      return NOT_STALLED;
  }
}

function online(machine: NixMachine): Draft {
  const connection = machine.status?.connection;
  if (connection === undefined) {
    const message = sshTargetOf(machine) === undefined ? 'its agent has never connected' : 'not reached by SSH yet';
    return { status: 'False', reason: 'NeverConnected', message };
  }
  if (!connection.online) {
    const { fault } = connection;
    if (fault !== undefined) return { status: 'False', reason: word(fault.reason), message: fault.message };
    const since = isCoarse(machine) ? '' : ` since ${connection.since}`;
    return { status: 'False', reason: 'Disconnected', message: `not connected${since}` };
  }
  const where = connection.replica === undefined ? 'connected' : `connected to ${connection.replica}`;
  const { fault } = connection;
  if (fault !== undefined) return { status: 'True', reason: word(fault.reason), message: `${where}; ${fault.message}` };
  return { status: 'True', reason: 'Connected', message: where };
}

function upToDate(machine: NixMachine): Draft {
  const { desired, current } = machine.status ?? {};
  switch (runsDesired(machine)) {
    case true:
      return { status: 'True', reason: 'RunsDesired', message: `runs ${shortRevision(desired?.revision ?? '')}` };
    case false:
      return {
        status: 'False',
        reason: 'RunsOther',
        message: `runs ${current?.revision === undefined ? 'another closure' : shortRevision(current.revision)}, told ${shortRevision(desired?.revision ?? '')}`,
      };
    case undefined:
      return desired === undefined
        ? { status: 'Unknown', reason: 'NotTold', message: 'nobody has told it what to run' }
        : { status: 'Unknown', reason: 'NeverReported', message: 'it has not said what it runs' };
  }
}

function healthy(machine: NixMachine): Draft {
  switch (isHealthy(machine)) {
    case true:
      return { status: 'True', reason: 'Healthy', message: 'no unit is failed' };
    case false:
      return { status: 'False', reason: UNITS_FAILED, message: failedUnitsMessage(machine) };
    case undefined:
      return { status: 'Unknown', reason: 'NeverReported', message: 'it has not said how it is' };
  }
}

/** Said where it matters: before a reboot into a kernel that nobody has seen on this machine. */
function withoutFallback({ status }: NixMachine): string {
  if (status?.reboot?.fallback !== false) return '';
  return '; should the new kernel not come up, a person must choose the old one in the boot menu (only systemd-boot with boot counting falls back by itself)';
}

function rebootRequired(machine: NixMachine): Draft {
  switch (machine.status?.reboot?.required) {
    case true:
      return { status: 'True', reason: 'BootedOther', message: `${rebootMessage(machine)}${withoutFallback(machine)}` };
    case false: {
      const undone = nextBootMessage(machine);
      if (undone !== undefined) return { status: 'False', reason: 'NextBootDiffers', message: undone };
      return { status: 'False', reason: 'NotRequired', message: 'what runs needs no reboot' };
    }
    case undefined:
      return { status: 'Unknown', reason: 'NeverReported', message: 'it has not said whether it needs a reboot' };
  }
}

/** A reason that the API accepts, out of a word that an agent sent. */
function word(text: string): string {
  const clean = text.replaceAll(/[^A-Za-z0-9]/g, '');
  return /^[A-Za-z]/.test(clean) ? clean.slice(0, 128) : 'Unknown';
}
