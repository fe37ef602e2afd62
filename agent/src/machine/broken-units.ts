// Finds what a switch has left off, units that were active before and are not now, and starts it again on the way back.
import type { Done } from '../attempt/outcome.ts';
import { type Commander, complaintOf } from './command.ts';
import { SystemdError, systemctl, type UnitState } from './units.ts';

/** Names that are remembered; a system has a few hundred. */
const MAX_UNITS = 1_000;
const START_LIMIT_SECONDS = 120;
const OWN = /^floe-/;
const TYPES = '--type=service,socket,timer,path';
/** States of a unit that is not off. */
const RUNNING = 'active,activating,reloading,refreshing,deactivating,failed,maintenance';

async function listed(command: Commander, states: string, signal: AbortSignal): Promise<string[]> {
  const args = ['list-units', '--plain', '--no-legend', '--full', '--no-pager', `--state=${states}`, TYPES];
  const names = (await systemctl(command, args, signal))
    .split('\n')
    .map((line) => line.trim().split(/\s+/, 1)[0] ?? '');
  return names.filter((name) => name !== '');
}

/** Services, sockets, timers and paths that are active, without the agent's own. */
export async function activeUnits(command: Commander, signal: AbortSignal): Promise<string[]> {
  const names = await listed(command, 'active', signal);
  return names.filter((name) => !OWN.test(name)).slice(0, MAX_UNITS);
}

type Properties = ReadonlyMap<string, string>;

const SHOWN = [
  'Id',
  'LoadState',
  'ActiveState',
  'Job',
  'Transient',
  'TriggeredBy',
  'WantedBy',
  'RequiredBy',
  'UpheldBy',
  'Result',
  'ConditionResult',
  'ConditionTimestampMonotonic',
  'ActiveEnterTimestampMonotonic',
  'ActiveExitTimestampMonotonic',
  'ExecMainExitTimestampMonotonic',
  'ExecMainStatus',
].join(',');

async function show(command: Commander, units: readonly string[], signal: AbortSignal): Promise<Properties[]> {
  if (units.length === 0) return [];
  const shown = await systemctl(command, ['show', `--property=${SHOWN}`, '--no-pager', '--', ...units], signal);
  const blocks = shown.split(/\n\s*\n/).filter((block) => block.trim() !== '');
  return blocks.map(
    (block) =>
      new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)])),
  );
}

const time = (unit: Properties, name: string): number => Number(unit.get(`${name}TimestampMonotonic`) ?? 0) || 0;

/**
 * Whether the unit's own main process ended well while the unit was active, rather than by a stop: then its exit comes
 * before the unit left its active state. What remains after its exit had exited before it became active.
 */
function hasEndedByItself(unit: Properties): boolean {
  const exited = time(unit, 'ExecMainExit');
  if ((Number(unit.get('ExecMainStatus') ?? 0) || 0) !== 0) return false;
  return exited > time(unit, 'ActiveEnter') && exited <= time(unit, 'ActiveExit');
}

/** Whether its own conditions keep it off. */
function isHeldOff(unit: Properties): boolean {
  const refused = unit.get('ConditionResult') === 'no' && time(unit, 'Condition') > 0;
  return refused || unit.get('Result') === 'exec-condition';
}

/** Whether a unit that was active is off, and neither it itself nor the closure meant that. */
function isLeftOff(unit: Properties): boolean {
  if (unit.get('LoadState') !== 'loaded' || unit.get('Transient') === 'yes') return false;
  // What a timer, a socket or a path starts comes when it is called.
  if (unit.get('ActiveState') !== 'inactive' || (unit.get('TriggeredBy') ?? '') !== '') return false;
  return !hasEndedByItself(unit) && !isHeldOff(unit);
}

/** Whether a unit that was active before is to be started: it failed, or it was left off, no matter who had started it. */
export function isBroken(unit: Properties): boolean {
  if (unit.get('LoadState') !== 'loaded' || unit.get('Transient') === 'yes') return false;
  return unit.get('ActiveState') === 'failed' || isLeftOff(unit);
}

function wanters(unit: Properties): string[] {
  const names = ['WantedBy', 'RequiredBy', 'UpheldBy'].flatMap((name) => (unit.get(name) ?? '').split(' '));
  return names.filter((name) => name !== '');
}

/**
 * Of units that were active, those that are off though an active unit wants them. Sub-state `queued` where systemd has
 * still a job for them, else `left-off`.
 */
export async function offUnits(
  command: Commander,
  units: readonly string[],
  signal: AbortSignal,
): Promise<UnitState[]> {
  if (units.length === 0) return [];
  const known = new Set(await listed(command, RUNNING, signal));
  const off = (
    await show(
      command,
      units.filter((unit) => !known.has(unit)),
      signal,
    )
  ).filter(isLeftOff);
  const asked = await show(command, [...new Set(off.flatMap(wanters))], signal);
  const active = new Set(asked.filter((one) => one.get('ActiveState') === 'active').map((one) => one.get('Id')));
  return off
    .filter((unit) => wanters(unit).some((name) => active.has(name)))
    .map((unit) => ({
      name: unit.get('Id') ?? '',
      active: 'inactive',
      sub: ['', '0', undefined].includes(unit.get('Job')) ? 'left-off' : 'queued',
      restarts: 0,
      exitStatus: Number(unit.get('ExecMainStatus') ?? 0) || 0,
    }));
}

/** Starts those of the units that are broken now; waits for them. Rejects only when the signal aborts. */
export async function startBroken(command: Commander, units: readonly string[], signal: AbortSignal): Promise<Done> {
  let broken: string[];
  try {
    broken = (await show(command, units, signal)).filter(isBroken).map((unit) => unit.get('Id') ?? '');
  } catch (error: unknown) {
    if (error instanceof SystemdError) return { kind: 'failed', message: error.message };
    throw error;
  }
  if (broken.length === 0) return { kind: 'ok' };
  await command('systemctl', ['reset-failed', '--', ...broken], { signal });
  const started = await command('systemctl', ['start', '--', ...broken], { signal, limitSeconds: START_LIMIT_SECONDS });
  return started.code === 0 ? { kind: 'ok' } : { kind: 'failed', message: complaintOf(started) };
}
