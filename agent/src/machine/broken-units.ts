// Starts again what a failed switch has broken: units that were active before and are not now.
import type { Done } from '../attempt/outcome.ts';
import { type Commander, complaintOf } from './command.ts';

/** Names that are remembered; a system has a few hundred. */
const MAX_UNITS = 1_000;
const START_LIMIT_SECONDS = 120;
const OWN = /^floe-/;

/** Services, sockets, timers and paths that are active, without the agent's own. */
export async function activeUnits(command: Commander, signal: AbortSignal): Promise<string[]> {
  const args = ['list-units', '--plain', '--no-legend', '--full', '--no-pager', '--state=active'];
  const result = await command('systemctl', [...args, '--type=service,socket,timer,path'], { signal });
  if (result.code !== 0) return [];
  const names = result.stdout.split('\n').map((line) => line.trim().split(/\s+/, 1)[0] ?? '');
  return names.filter((name) => name !== '' && !OWN.test(name)).slice(0, MAX_UNITS);
}

type Properties = ReadonlyMap<string, string>;

function properties(block: string): Properties {
  return new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/**
 * Whether a unit is to be started: it failed, or it is off though something wants it. A service that a timer, a socket or
 * a path starts comes when it is called, one that nothing wants had just ended, and transient units are gone for good.
 */
export function isBroken(unit: Properties): boolean {
  if (unit.get('LoadState') !== 'loaded' || unit.get('Transient') === 'yes') return false;
  if (unit.get('ActiveState') === 'failed') return true;
  if (unit.get('ActiveState') !== 'inactive' || (unit.get('TriggeredBy') ?? '') !== '') return false;
  return (unit.get('WantedBy') ?? '') !== '' || (unit.get('RequiredBy') ?? '') !== '';
}

/** Starts those of the units that are broken now; waits for them. */
export async function startBroken(command: Commander, units: readonly string[], signal: AbortSignal): Promise<Done> {
  if (units.length === 0) return { kind: 'ok' };
  const wanted = 'Id,LoadState,ActiveState,Transient,TriggeredBy,WantedBy,RequiredBy';
  const shown = await command('systemctl', ['show', `--property=${wanted}`, '--no-pager', '--', ...units], { signal });
  const blocks = shown.stdout.split(/\n\s*\n/).filter((block) => block.trim() !== '');
  const broken = blocks
    .map(properties)
    .filter(isBroken)
    .map((unit) => unit.get('Id') ?? '');
  if (broken.length === 0) return { kind: 'ok' };
  await command('systemctl', ['reset-failed', '--', ...broken], { signal });
  const started = await command('systemctl', ['start', '--', ...broken], { signal, limitSeconds: START_LIMIT_SECONDS });
  return started.code === 0 ? { kind: 'ok' } : { kind: 'failed', message: complaintOf(started) };
}
