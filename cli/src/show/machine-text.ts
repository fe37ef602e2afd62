// One machine as people see it: why it has not moved, its closures, its last attempt, its connection.
import type { NixMachine, NixMachineStatus, PendingKey } from '@floe/crds/nix-machine';
import { keyToApprove } from '@floe/operator/conditions/identity';
import { isCoarse } from '@floe/operator/conditions/presence';
import { shortRevision } from '@floe/operator/conditions/spoken';
import { attemptMessage } from '@floe/operator/conditions/wording';
import { ago, clockOf, table } from '../table.ts';
import { people } from './machine-people.ts';
import type { MachineView, Queue } from './machine-view.ts';

/** The page. */
export function machinePage({ machine, rollout, why, queue }: MachineView, now: Date): string {
  const { status = {} } = machine;
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  const lines = [
    headline(machine, rollout),
    ...(ready === undefined ? [] : [`${ready.message} (${ago(ready.lastTransitionTime, now)})`]),
    ...(why === undefined ? [] : [`has not moved: ${why.reason}, ${why.message}`]),
    ...(queue === undefined ? [] : [queueText(queue, now)]),
    '',
    table(closures(status, now)),
    '',
    table([...attempt(machine, now), ...connection(machine, now), ...state(status, now), ...people(machine, now)]),
  ];
  return lines.join('\n');
}

function headline({ metadata, spec }: NixMachine, rollout: string | undefined): string {
  const zone = metadata.labels?.['topology.kubernetes.io/zone'];
  const parts = [
    `Machine ${metadata.name}`,
    `config ${spec.configRef.name}`,
    rollout === undefined ? 'no rollout' : `rollout ${rollout}`,
    ...(zone === undefined ? [] : [`zone ${zone}`]),
  ];
  return parts.join('   ');
}

/** `7th of 32 in step 3 batch of 10 %, about 14:31 UTC`. */
function queueText({ place, of, step, at, approved }: Queue, now: Date): string {
  const rest = approved ? ', once it was approved' : '';
  return `${ordinal(place)} of ${of} in step ${step}, about ${clockOf(at, now)}${rest}`;
}

export function ordinal(number: number): string {
  const tens = number % 100;
  const ending = tens >= 11 && tens <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th');
  return `${number}${ending}`;
}

type Rows = readonly (readonly string[])[];

function closures({ desired, current, booted, bootDefault }: NixMachineStatus, now: Date): Rows {
  const by = desired?.rollout === undefined ? '' : ` by rollout ${desired.rollout}`;
  const go = desired?.go === false ? ', fetch only' : '';
  const told = desired === undefined ? '' : `${desired.reason}${by}, ${ago(desired.since, now)} ago${go}`;
  const row = (name: string, closure: { closure: string; revision?: string } | undefined, more = '') =>
    [name, shortRevision(closure?.revision ?? '-'), closure?.closure ?? 'not known', more] as const;
  return [
    row('desired', desired, told),
    row('current', current),
    row('booted', booted),
    row('boot default', bootDefault, bootDefault?.verified === false ? 'concluded, not read from the boot loader' : ''),
  ];
}

function attempt(machine: NixMachine, now: Date): Rows {
  const { attempt: last, knownBad } = machine.status ?? {};
  const bad = (knownBad ?? []).map((closure) => ['known bad', closure]);
  if (last === undefined) return bad;
  const { phase, revision, startedAt, finishedAt, exitCode, failedUnits = [] } = last;
  const said = attemptMessage(machine, last).replace(/\.$/, '');
  // What the agent's own sentence says already is not said again.
  const units = failedUnits.filter((unit) => !said.includes(unit));
  const isCodeSaid = exitCode === undefined || exitCode === 0 || said.includes(`exit code ${exitCode}`);
  const took =
    startedAt !== undefined && finishedAt !== undefined
      ? [`took ${Math.max(0, Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000))} s`]
      : [];
  const what = [
    phase,
    ...took,
    ...(isCodeSaid ? [] : [`exit ${exitCode}`]),
    ...(units.length === 0 ? [] : [`${units.join(', ')} failed`]),
    ...(said === '' ? [] : [said]),
    ...(finishedAt === undefined ? [] : [`${ago(finishedAt, now)} ago`]),
  ];
  return [['attempt', `${revision === undefined ? 'unknown' : shortRevision(revision)} ${what.join(', ')}`], ...bad];
}

function connection(machine: NixMachine, now: Date): Rows {
  const { connection: line, agent } = machine.status ?? {};
  const version = agent === undefined ? '' : `, agent ${agent.version}`;
  const where = line?.replica === undefined ? '' : ` on ${line.replica}`;
  const key = keyToApprove(machine);
  if (key !== undefined && line === undefined) return [['connection', 'never connected'], pendingKey(machine, key)];
  const since = line === undefined ? '' : sinceText(machine, line.since, now);
  const said =
    line === undefined
      ? 'never connected: start floe-agent on it'
      : line.online
        ? `online ${since}${where}${version}`
        : `offline ${since}${version}${line.fault === undefined ? '' : `: ${line.fault.message}`}`;
  return [['connection', said], ...(key === undefined ? [] : [pendingKey(machine, key)])];
}

function pendingKey({ metadata }: NixMachine, { fingerprint }: PendingKey): readonly string[] {
  return ['pending key', `${fingerprint}: kubectl floe approve machine/${metadata.name} -n ${metadata.namespace}`];
}

/** Where only the day is kept, nobody knows for how long. */
function sinceText(machine: NixMachine, since: string, now: Date): string {
  return isCoarse(machine) ? `since some time of ${since.slice(0, 10)}` : `for ${ago(since, now)}`;
}

function state({ failedUnits = [], reboot, drift, waiting }: NixMachineStatus, now: Date): Rows {
  return [
    ...(failedUnits.length === 0 ? [] : [['failed units', failedUnits.join(', ')]]),
    ...(reboot?.required === true ? [['reboot', `required: ${(reboot.reasons ?? []).join(', ')}`]] : []),
    ...(drift === undefined ? [] : [['drift', `${drift.cause}, for ${ago(drift.since, now)}`]]),
    ...(waiting === undefined ? [] : [['waits', `${waiting.reason}, ${waiting.message}`]]),
  ];
}
