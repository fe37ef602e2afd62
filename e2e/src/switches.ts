// How often a machine has switched to a closure, as its own journal says.
import type { Installation } from './installation.ts';

/** Counts the switches of Floe's that ended well, in the words of switch-to-configuration. */
export async function switchesTo(floe: Installation, name: string, closure: string): Promise<number> {
  const machine = await floe.machine(name);
  const log = await machine.sh("journalctl --no-pager -o cat -u 'floe-switch-*'");
  return log.split('\n').filter((line) => line === `finished switching to system configuration ${closure}`).length;
}
