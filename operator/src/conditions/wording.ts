// The sentences of a machine's conditions: what people read in `kubectl get nixmachines`.
import type { Attempt, NixMachine } from '@floe/crds/nix-machine';
import { closureName } from './closure-name.ts';
import { driftMessage, endedTestMode, heldByHandMessage, nextBootMessage } from './drift.ts';
import { outdatedAgentMessage } from './outdated-agent.ts';
import { lacksSecret, secretsMessage } from './secrets.ts';
import { shortRevision } from './spoken.ts';
import { sshTargetOf } from './ssh-target.ts';
import { isHeld, isOnline, type Standing, specOf } from './standing.ts';

/** Characters of a condition's message that the API accepts. */
const MESSAGE_LIMIT = 2048;

/** The sentence for the Ready condition, which is the STATUS column. */
export function statusMessage(machine: NixMachine, standing: Standing, now: Date): string {
  return clip(onlineMessage(machine, standing, now));
}

function onlineMessage(machine: NixMachine, standing: Standing, now: Date): string {
  const held = heldByHandMessage(machine);
  if (held !== undefined && standing.kind !== 'blocked' && standing.kind !== 'working') {
    return isOnline(machine) ? held : `offline; ${held}`;
  }
  switch (standing.kind) {
    case 'blocked':
      return standing.message;
    case 'failed': {
      const again = standing.goesOn ? '; it is told again by itself' : '';
      return `${isOnline(machine) ? '' : 'offline; '}${failure(machine, standing.attempt)}${again}`;
    }
    case 'working':
      return working(machine, standing.attempt);
    case 'diverged':
      return `${isOnline(machine) ? '' : 'offline; '}${divergence(machine, standing.desired.revision)}`;
    default:
      return resting(machine, standing, now);
  }
}

function divergence(machine: NixMachine, revision: string): string {
  if (endedTestMode(machine)) {
    return `was restarted, which ended mode test of ${shortRevision(revision)}: runs ${runs(machine)} again; set spec.activation.mode to switch to keep a revision`;
  }
  const drift = machine.status?.drift;
  if (drift !== undefined) return driftMessage(drift);
  return `runs ${runs(machine)}, but was told ${shortRevision(revision)}: someone or something else switched it`;
}

/** Nothing is going on: the first thing that a person should know of the machine. */
function resting(machine: NixMachine, standing: Standing, now: Date): string {
  const { status } = machine;
  if (isHeld(machine, now)) return heldMessage(machine);
  if (status?.waiting !== undefined && status.waiting.reason !== 'OnHold') return status.waiting.message;
  if (status?.connection === undefined) {
    return sshTargetOf(machine) === undefined ? 'never connected: start floe-agent on it' : 'not reached by SSH yet';
  }
  if (!isOnline(machine)) return status.connection.fault?.message ?? 'offline, follows on return';
  if (standing.kind === 'unordered') return `runs ${runs(machine)}, waits for its first revision`;
  if (standing.kind === 'pending') return pending(machine, standing.desired.revision, standing.attempt);
  return settledMessage(machine);
}

/** What a machine that runs what it was told lacks: first what keeps it from being ready. */
function settledMessage(machine: NixMachine): string {
  const { failedUnits = [], drift, reboot } = machine.status ?? {};
  if (failedUnits.length > 0) return failedUnitsMessage(machine);
  const secret = secretsMessage(machine);
  if (secret !== undefined && lacksSecret(machine)) return secret;
  if (drift !== undefined) return driftMessage(drift);
  if (reboot?.required === true) return rebootMessage(machine);
  return nextBootMessage(machine) ?? secret ?? outdatedAgentMessage(machine) ?? 'up to date';
}

function pending(machine: NixMachine, revision: string, attempt: Attempt | undefined): string {
  if (attempt?.phase === 'Fetched') return `fetched ${shortRevision(revision)}, waits for its go`;
  return `fetching ${shortRevision(revision)} ahead of its go${inTheWay(machine, attempt)}`;
}

/** What keeps a machine from fetching: a full disk, a cache out of reach. */
function inTheWay(machine: NixMachine, attempt: Attempt | undefined): string {
  const text = attempt?.phase === 'Fetching' ? (attempt.message?.trim() ?? '') : '';
  return text === '' ? '' : `: ${nameClosures(machine, firstLine(text)).replace(/\.$/, '')}`;
}

/** `on hold until 2026-03-01T08:00:00Z: reason`. */
export function heldMessage(machine: NixMachine): string {
  const { hold } = specOf(machine);
  if (hold === undefined) return 'on hold';
  return hold.until === undefined ? `on hold: ${hold.reason}` : `on hold until ${hold.until}: ${hold.reason}`;
}

/** `reboot required: kernel, initrd`. */
export function rebootMessage(machine: NixMachine): string {
  const reasons = [...(machine.status?.reboot?.reasons ?? [])].sort();
  return reasons.length === 0 ? 'reboot required' : `reboot required: ${reasons.join(', ')}`;
}

/** `nginx.service failed; See: journalctl -u nginx.service on web-01`. */
export function failedUnitsMessage(machine: NixMachine): string {
  return `${listUnits(machine.status?.failedUnits ?? [])} failed${seeJournal(machine, machine.status?.failedUnits ?? [])}`;
}

function working(machine: NixMachine, attempt: Attempt | undefined): string {
  if (attempt === undefined) return 'told, about to begin';
  const doing = `${doingWord(attempt)}${inTheWay(machine, attempt)}`;
  return isOnline(machine) ? doing : `offline while ${doing}`;
}

function doingWord(attempt: Attempt): string {
  switch (attempt.phase) {
    case 'Waiting':
      return attempt.message === undefined ? 'about to begin' : `waiting: ${firstLine(attempt.message)}`;
    case 'Fetching':
      return 'fetching';
    case 'Fetched':
      return 'fetched, about to switch';
    case 'Testing':
      return 'testing';
    case 'Confirming':
      return 'confirming';
    case 'Committing':
      return 'committing';
    case 'Rebooting':
      return 'rebooting';
    case 'RollingBack':
      return attempt.message === undefined ? 'rolling back' : `rolling back: ${firstLine(attempt.message)}`;
    default:
      return attempt.phase;
  }
}

/** What failed, what the machine runs now, and where to look. */
function failure(machine: NixMachine, attempt: Attempt): string {
  const text = whatFailed(machine, attempt);
  const told = /rolled back|back on|still on|nothing was changed|roll-?back|it runs/i.test(text);
  const whole = told ? text : `${text.replace(/\.$/, '')}${outcome(machine, attempt)}`;
  return `${whole.replace(/\.$/, '')}${seeJournal(machine, attempt.failedUnits ?? [])}`;
}

/** What the agent says of its attempt, as people know things: revisions for store paths. Empty where it says nothing. */
export function attemptMessage(machine: NixMachine, { message = '' }: Attempt): string {
  // What agents add to every attempt that they undid, said as in the rest of the column.
  return nameClosures(machine, firstLine(message)).replace(
    /\.? The machine is back on ([^\n]{1,300}?)\.(?= |$)/,
    ', rolled back to $1.',
  );
}

function whatFailed(machine: NixMachine, attempt: Attempt): string {
  const said = attemptMessage(machine, attempt);
  if (said !== '') return said;
  const units = attempt.failedUnits ?? [];
  if (units.length > 0) return `${listUnits(units)} failed`;
  if (attempt.phase === 'Unconfirmed') return 'Floe was not reached over a new connection in time';
  if (attempt.phase === 'Cancelled') return 'cancelled';
  return attempt.exitCode === undefined ? 'failed' : `switch-to-configuration failed (exit ${attempt.exitCode})`;
}

function outcome(machine: NixMachine, attempt: Attempt): string {
  const back = attempt.phase === 'RolledBack' || attempt.phase === 'Unconfirmed';
  if (machine.status?.current === undefined) return back ? ', rolled back' : '';
  return back ? `, rolled back to ${runs(machine)}` : `; it runs ${runs(machine)}`;
}

/** Store paths of closures are long: the revision says the same, or the name where Floe knows no revision. */
function nameClosures({ status }: NixMachine, text: string): string {
  const { current, booted, bootDefault, desired, attempt } = status ?? {};
  const known = [current, booted, bootDefault, desired, { closure: attempt?.to, revision: attempt?.revision }];
  return text.replaceAll(/\/nix\/store\/[0-9a-z]{32}-[0-9A-Za-z+_?=.-]*[0-9A-Za-z+_?=-]/g, (path) => {
    const revision = known.find((one) => one?.closure === path)?.revision;
    return revision === undefined ? closureName(path) : shortRevision(revision);
  });
}

/** What runs now, as people know it: the revision, else the name of the closure. */
function runs(machine: NixMachine): string {
  const current = machine.status?.current;
  if (current === undefined) return 'an unknown system';
  return current.revision === undefined ? closureName(current.closure) : shortRevision(current.revision);
}

function listUnits(units: readonly string[]): string {
  const sorted = [...units].sort();
  return sorted.length > 3 ? `${sorted.slice(0, 3).join(', ')} and ${sorted.length - 3} more` : sorted.join(', ');
}

function seeJournal(machine: NixMachine, units: readonly string[]): string {
  const first = [...units].sort()[0];
  return first === undefined ? '' : `; See: journalctl -u ${first} on ${machine.metadata.name}`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

function clip(text: string): string {
  return text.length <= MESSAGE_LIMIT ? text : `${text.slice(0, MESSAGE_LIMIT - 1)}…`;
}
