// Says whether the running system forbids a switch to another: `system.switch.inhibitors` of NixOS.
import { join } from 'node:path';
import { changedKeys, readKeys } from './key-file.ts';

const FILE = 'switch-inhibitors';
const MAX_KEYS = 16;

/** Keys of switch-inhibitors that differ between the running system and the one that is wanted. */
export async function inhibitors(running: string, wanted: string): Promise<string[]> {
  const [old, next] = await Promise.all([readKeys(join(running, FILE)), readKeys(join(wanted, FILE))]);
  return old === undefined || next === undefined ? [] : changedKeys(old, next).slice(0, MAX_KEYS);
}
