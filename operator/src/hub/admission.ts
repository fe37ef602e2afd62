// Decides who is let in: the hello against the nonce, the signature, and the machine that it names.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Hello, Refused } from '@floe/crds/protocol';
import { PROTOCOL_VERSIONS, SIGNATURE_NAMESPACE, signedText } from '@floe/crds/protocol-limits';
import { canonicalKey, duplicateKeyMessage, isApproved, keeperOfKey, keyOfMachine } from '../conditions/identity.ts';
import { sshTargetOf } from '../conditions/ssh-target.ts';
import { specOf } from '../conditions/standing.ts';
import { verifySshSignature } from './sshsig.ts';

export type RefusalReason = Refused['reason'];

/** A connection that is not let in, or no longer. */
export type Refusal = {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  /** What is wrong and what to do, for the person who reads the machine's journal. */
  readonly message: string;
  readonly retryAfterSeconds?: number;
  /** The machine that was named, where it exists: an Event on it tells its owner. */
  readonly machine?: NixMachine;
};

/** The hello holds; `publicKey` is canonical. */
export type Admitted = { readonly kind: 'admitted'; readonly key: string; readonly publicKey: string };

/** The machines as the hub knows them. */
export interface MachineDirectory {
  get(key: string): NixMachine | undefined;
  by(index: 'sshHostKey', value: string): NixMachine[];
}

/** Seconds after which a machine asks again whether a person has made it known. */
const RETRY_UNKNOWN = 10;

/** Judges a hello. `host` is the Host header of the connection, `nonce` the one that it was sent. */
export function admit(
  hello: Hello,
  { nonce, host, machines }: { nonce: string; host: string; machines: MachineDirectory },
): Admitted | Refusal {
  const key = `${hello.namespace}/${hello.machine}`;
  const machine = machines.get(key);
  const refuse = refusalFor(machine);
  if (!PROTOCOL_VERSIONS.some((version) => version === hello.version)) {
    return refuse(
      'UnsupportedVersion',
      `protocol version ${hello.version} is not served; this hub serves ${PROTOCOL_VERSIONS.join(', ')}`,
    );
  }
  if (!sameHost(hello.host, host)) {
    return refuse(
      'WrongHost',
      `the hello is for ${hello.host}, the connection came for ${host}; a proxy must keep the Host header`,
    );
  }
  const publicKey = canonicalKey(hello.publicKey);
  const text = signedText({ ...hello, nonce });
  if (
    publicKey === undefined ||
    !verifySshSignature(hello.signature, { text, namespace: SIGNATURE_NAMESPACE, publicKey })
  ) {
    return refuse('BadSignature', 'the hello is not signed by the SSH host key that it names (ssh-ed25519)');
  }
  return stillAdmitted(key, publicKey, machines) ?? { kind: 'admitted', key, publicKey };
}

/** Why a machine that holds the key `publicKey` is not, or no longer, to be let in as `key`; undefined where it is. */
export function stillAdmitted(key: string, publicKey: string, machines: MachineDirectory): Refusal | undefined {
  const machine = machines.get(key);
  const refuse = refusalFor(machine);
  if (machine === undefined) {
    return refuse(
      'UnknownMachine',
      `there is no NixMachine ${key}; create it, or correct services.floe-agent`,
      RETRY_UNKNOWN,
    );
  }
  // After a status was lost the approved fingerprint still says which key it is.
  const expected = isApproved(machine, publicKey) ? publicKey : keyOfMachine(machine);
  if (expected === undefined) {
    return refuse(
      'NoIdentity',
      `${key} has no usable spec.identity.sshHostKey; set it to /etc/ssh/ssh_host_ed25519_key.pub of the machine`,
      RETRY_UNKNOWN,
    );
  }
  if (expected !== publicKey) {
    return refuse(
      'WrongKey',
      `${key} has another SSH host key in spec.identity.sshHostKey; correct it if the machine was set up anew`,
      RETRY_UNKNOWN,
    );
  }
  if (sshTargetOf(machine) !== undefined) {
    return refuse(
      'OtherTarget',
      `${key} has spec.target.ssh: the operator reaches it by SSH; remove spec.target to let its agent in`,
      RETRY_UNKNOWN * 6,
    );
  }
  const keeper = keeperOfKey(machine, machines.by('sshHostKey', publicKey));
  if (keeper !== undefined) return refuse('DuplicateKey', duplicateKeyMessage(machine, keeper), RETRY_UNKNOWN * 6);
  return undefined;
}

/** Whether a machine that is refused may ask to join: it exists, its hello holds, and nobody has said who it is. */
export function mayJoin({ reason, machine }: Refusal): boolean {
  return reason === 'NoIdentity' && machine !== undefined && specOf(machine).identity === undefined;
}

/** Whether the token of a hello is looked at: also where it can't help, so that strangers see no difference. */
export function mayAskToJoin({ reason }: Refusal): boolean {
  return TELLTALE.has(reason);
}

/** Reasons by which whoever has no key that fits would learn which machines there are. */
const TELLTALE: ReadonlySet<RefusalReason> = new Set(['UnknownMachine', 'NoIdentity', 'WrongKey']);

/**
 * What a stranger is told in place of the true reason, which its object, the log and the metrics say: the same, whether
 * there is no such machine, one without a key, or one with another. `isJoining`: the hello had a join token.
 */
export function forStrangers(refusal: Refusal, key: string, { isJoining }: { isJoining: boolean }): Refusal {
  if (!TELLTALE.has(refusal.reason)) return refusal;
  if (isJoining) return unknownToken();
  return {
    kind: 'refused',
    reason: 'UnknownMachine',
    message: `the hub knows no NixMachine ${key} with this SSH host key: create it, set its spec.identity.sshHostKey to /etc/ssh/ssh_host_ed25519_key.pub of this machine, or correct services.floe-agent; the condition Online of that object and the log of the operator say which`,
    retryAfterSeconds: RETRY_UNKNOWN,
  };
}

/** Refusal of a token that nobody made, in the same words whether or not there is a machine that it could be for. */
export function unknownToken(): Refusal {
  return {
    kind: 'refused',
    reason: 'BadToken',
    message:
      'the join token is not taken: nobody made it in this namespace, or it was taken back (kubectl floe token create), or no NixMachine of this name waits for a key',
    retryAfterSeconds: RETRY_UNKNOWN,
  };
}

function refusalFor(machine: NixMachine | undefined) {
  return (reason: RefusalReason, message: string, retryAfterSeconds?: number): Refusal => ({
    kind: 'refused',
    reason,
    message,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(machine === undefined ? {} : { machine }),
  });
}

/** Hosts are compared without case, and without the port that https has anyway. */
function sameHost(a: string, b: string): boolean {
  const plain = (host: string) => host.toLowerCase().replace(/:443$/, '');
  return plain(a) === plain(b);
}
