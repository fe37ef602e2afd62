// Which agent a system brings: read from its unit, to be compared with the one that runs.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { closureOf } from './store-link.ts';

/** Where NixOS has the units of a system. */
const UNITS = 'etc/systemd/system';

/** What a unit starts; empty where it starts nothing. */
function startOf(unit: string): string {
  // The last one counts, as with systemd, after an empty one that forgets those before.
  const lines = unit.split('\n').flatMap((line) => /^\s*ExecStart\s*=(.*)$/.exec(line)?.[1]?.trim() ?? []);
  return lines.at(-1) ?? '';
}

/** The store path of the program that a unit starts; undefined where it starts none of the store. */
export function programOf(unit: string): string | undefined {
  const [program = ''] = startOf(unit)
    .replace(/^[-@:+!]+/, '')
    .split(/\s+/);
  return closureOf(program.replaceAll('"', ''));
}

/**
 * Why a system must not be switched to where the agent is what keeps the machine in reach; undefined where it brings one.
 * Also an agent that was put there by hand counts.
 */
export async function missingAgent(system: string, unit: string): Promise<string | undefined> {
  const text = await readFile(join(system, UNITS, unit), 'utf8').catch(() => '');
  if (startOf(text) !== '') return undefined;
  return `${system} has no ${unit}, so Floe could not reach the machine any more. Bring the agent into its configuration (NixOS module: services.floe-agent.enable = true), or set spec.target.ssh where the machine is to have none.`;
}

/** The store path of the agent that `system` starts; undefined where it has none, or an agent that was put there by hand. */
export async function agentOfSystem(system: string | undefined, unit: string): Promise<string | undefined> {
  if (system === undefined) return undefined;
  const text = await readFile(join(system, UNITS, unit), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : programOf(text);
}
