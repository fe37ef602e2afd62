// The order in which machines have their turn: by zone or another label, then by a hash, so that a batch stays in one zone.
import { LABEL_ZONE } from '@floe/crds/constants';
import type { NixMachine } from '@floe/crds/nix-machine';

/**
 * Machines in the order of their turn: by the value of a label (those without one last), the zone by default, then a hash
 * of rollout and machine name, then the name. The order of the input never matters.
 */
export function inOrder(rollout: string, machines: readonly NixMachine[], label: string = LABEL_ZONE): NixMachine[] {
  return machines
    .map((machine) => {
      const { name, labels } = machine.metadata;
      return { machine, name, zone: labels?.[label], hash: hash32(`${rollout}/${name}`) };
    })
    .sort((a, b) => byZone(a.zone, b.zone) || a.hash - b.hash || compareText(a.name, b.name))
    .map(({ machine }) => machine);
}

function byZone(a: string | undefined, b: string | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return compareText(a, b);
}

/** Compares by code units: the same on every machine, whatever its locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** FNV-1a with the final mixing of MurmurHash3: names that differ in one digit end far apart. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
