// The identity of a machine: its SSH host key in a form in which two texts of one key are equal.
import type { NixMachine } from '@floe/crds/nix-machine';
import { specOf } from './standing.ts';

const TYPE = 'ssh-ed25519';
/** 4 + 11 bytes of the type, 4 + 32 of the key. */
const BLOB_BYTES = 51;

/**
 * The key of an OpenSSH public key line (`ssh-ed25519 AAAA… comment`) in canonical base64, without type and comment;
 * undefined where the text is no ed25519 key.
 */
export function canonicalKey(line: string): string | undefined {
  const [type, text] = line.trim().split(/\s+/);
  if (type !== TYPE || text === undefined) return undefined;
  const blob = Buffer.from(text, 'base64');
  const fits =
    blob.length === BLOB_BYTES &&
    blob.readUInt32BE(0) === TYPE.length &&
    blob.toString('latin1', 4, 4 + TYPE.length) === TYPE &&
    blob.readUInt32BE(4 + TYPE.length) === 32;
  return fits ? blob.toString('base64') : undefined;
}

/** The canonical key of a machine; undefined where it has none, or one that can't be read. */
export function keyOfMachine(machine: NixMachine): string | undefined {
  const line = specOf(machine).identity?.sshHostKey;
  return typeof line === 'string' ? canonicalKey(line) : undefined;
}
