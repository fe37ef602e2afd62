// The identity of a machine: its SSH host key in a form in which two texts of one key are equal.
import { APPROVE_KEY, keyFingerprint } from '@floe/crds/join-token';
import type { NixMachine, PendingKey } from '@floe/crds/nix-machine';
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
  const { identity } = specOf(machine);
  if (identity !== undefined) {
    return typeof identity.sshHostKey === 'string' ? canonicalKey(identity.sshHostKey) : undefined;
  }
  const pending = machine.status?.pendingKey;
  const key = pending === undefined ? undefined : canonicalKey(pending.publicKey);
  return key !== undefined && isApproved(machine, key) ? key : undefined;
}

/**
 * Whether an annotation approves this key (canonical) for a machine without `spec.identity`. The fingerprint alone says
 * which key is meant, so the answer is the same after a status was lost. Whoever may annotate a NixMachine may edit its
 * spec as well: this opens no door that was closed.
 */
export function isApproved(machine: NixMachine, key: string): boolean {
  return specOf(machine).identity === undefined && machine.metadata.annotations?.[APPROVE_KEY] === keyFingerprint(key);
}

/** The key that waits for a person's approval. */
export function keyToApprove(machine: NixMachine): PendingKey | undefined {
  const pending = machine.status?.pendingKey;
  return specOf(machine).identity === undefined && keyOfMachine(machine) === undefined ? pending : undefined;
}

/**
 * The machine of the same namespace that has the key of `machine` and keeps it: the older object, of two that are
 * equally old the one with the lesser name. Undefined where `machine` itself keeps it. What other namespaces hold does
 * not count: public keys are public, and a tenant could put out the machines of another with them.
 */
export function keeperOfKey(machine: NixMachine, holders: readonly NixMachine[]): NixMachine | undefined {
  const { namespace, name } = machine.metadata;
  const [keeper] = holders
    .filter(({ metadata }) => metadata.namespace === namespace && metadata.name !== name && isOlder(metadata, machine))
    .toSorted((a, b) => (isOlder(a.metadata, b) ? -1 : 1));
  return keeper;
}

function isOlder({ creationTimestamp = '', name }: NixMachine['metadata'], { metadata: other }: NixMachine): boolean {
  const made = other.creationTimestamp ?? '';
  return creationTimestamp === made ? name < other.name : creationTimestamp < made;
}

/** What is wrong with a machine whose key an older one keeps, and what to do. */
export function duplicateKeyMessage(machine: NixMachine, keeper: NixMachine): string {
  const { name, namespace } = machine.metadata;
  return (
    `its SSH host key is that of the older NixMachine ${keeper.metadata.name}, which keeps it. ` +
    `Delete this one (kubectl delete nixmachine ${name} -n ${namespace}), or give its machine a key of its own: ` +
    'there, rm /etc/ssh/ssh_host_ed25519_key* && ssh-keygen -A (which makes only what is missing), then restart sshd ' +
    'and floe-agent and correct spec.identity.sshHostKey'
  );
}
