// Asks systemd for the state of units, through systemctl.
import { isUnitName } from '@floe/crds/unit-name';
import { type Commander, complaintOf } from './command.ts';

export type UnitState = {
  readonly name: string;
  readonly active: string;
  readonly sub: string;
  /** Times that systemd restarted it by itself. */
  readonly restarts: number;
  /** How its last main process ended, 0 for well or unknown. */
  readonly exitStatus: number;
};

/** Units of the agent itself, which say nothing about the health of the system. */
const OWN = /^floe-(switch|rescue)-/;

export class SystemdError extends Error {
  override readonly name = 'SystemdError';
}

/** What systemctl prints. @throws SystemdError where it fails: what could not be asked is not well */
export async function systemctl(command: Commander, args: readonly string[], signal: AbortSignal): Promise<string> {
  const result = await command('systemctl', args, { signal, limitSeconds: 60 });
  if (result.code !== 0) throw new SystemdError(`systemctl ${args[0]} failed: ${complaintOf(result)}`);
  return result.stdout;
}

/** The units in one of these states (`failed`, `auto-restart`), by name. */
async function unitsIn(command: Commander, states: string, signal: AbortSignal): Promise<string[]> {
  const args = ['list-units', '--all', '--plain', '--no-legend', '--full', '--no-pager', `--state=${states}`];
  const lines = (await systemctl(command, args, signal)).split('\n');
  return lines.map((line) => line.trim().split(/\s+/, 1)[0] ?? '').filter((name) => name !== '' && !OWN.test(name));
}

/** Units that have failed, sorted. */
export async function failedUnits(command: Commander, signal: AbortSignal): Promise<string[]> {
  return (await unitsIn(command, 'failed', signal)).sort();
}

/** Units that have failed or wait to be started again after they failed. */
export async function troubledUnits(command: Commander, signal: AbortSignal): Promise<UnitState[]> {
  const names = await unitsIn(command, 'failed,auto-restart', signal);
  return names.length === 0 ? [] : unitStates(command, names, signal);
}

const nothingSaid = (name: string, sub: string): UnitState => ({
  name,
  active: 'unknown',
  sub,
  restarts: 0,
  exitStatus: 0,
});

/**
 * The states of the named units, one for each name: one that does not exist is `inactive`, sub-state `not-found`; what is
 * no name of a unit, and what systemd says nothing of, is `unknown`, sub-state `no-name` or `no-answer`.
 */
export async function unitStates(
  command: Commander,
  names: readonly string[],
  signal: AbortSignal,
): Promise<UnitState[]> {
  // For a pattern systemctl shows the units that match it, which may be none.
  const askable = names.filter(isUnitName);
  const shown = new Map((await show(command, askable, signal)).map((state) => [state.name, state]));
  return names.map((name) => shown.get(name) ?? nothingSaid(name, isUnitName(name) ? 'no-answer' : 'no-name'));
}

async function show(command: Commander, names: readonly string[], signal: AbortSignal): Promise<UnitState[]> {
  // Without a name systemctl shows the manager itself.
  if (names.length === 0) return [];
  const properties = 'Id,LoadState,ActiveState,SubState,NRestarts,ExecMainStatus';
  const text = await systemctl(command, ['show', `--property=${properties}`, '--no-pager', '--', ...names], signal);
  const blocks = text.split(/\n\s*\n/).filter((block) => block.trim() !== '');
  return blocks.map((block, index) => {
    const values = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const missing = values.get('LoadState') === 'not-found';
    return {
      name: names[index] ?? values.get('Id') ?? '',
      active: values.get('ActiveState') ?? 'unknown',
      sub: missing ? 'not-found' : (values.get('SubState') ?? 'unknown'),
      restarts: Number(values.get('NRestarts') ?? 0) || 0,
      exitStatus: Number(values.get('ExecMainStatus') ?? 0) || 0,
    };
  });
}
