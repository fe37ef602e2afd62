// Decides what the machine's own reconciler writes: why it waits, that it is offline, that its spec was looked at.
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { parseNixMachine } from '@floe/crds/parse';
import { rfc3339 } from '@floe/crds/rfc3339';
import { consentWait } from '../conditions/consent.ts';
import { duplicateKeyMessage, keyOfMachine, keyToApprove } from '../conditions/identity.ts';
import { type StatusWrite, statusPatch } from '../conditions/patch.ts';
import { shortRevision } from '../conditions/spoken.ts';
import { sshFault } from '../conditions/ssh-target.ts';
import { isHeld, specOf } from '../conditions/standing.ts';
import { heldMessage } from '../conditions/wording.ts';
import type { MachineSnapshot } from './snapshot.ts';

/** Seconds that a machine waits for its NixConfig without a word: both are mostly applied together. */
const CONFIG_GRACE_SECONDS = 5;
/** Characters of `waiting.message`. */
const MESSAGE_LIMIT = 1024;

export type MachinePlan = {
  /** The status write; undefined when the status is as it should be. */
  readonly write: StatusWrite | undefined;
  /** Seconds after which time alone changes the plan; undefined: never. */
  readonly nextCheckSeconds: number | undefined;
  /** The machine lost its replica: worth an Event. */
  readonly wentOffline: boolean;
};

type Reason = { readonly reason: string; readonly message: string };

/** Plans for one machine. Pure. */
export function planMachine(snapshot: MachineSnapshot, now: Date): MachinePlan {
  const { machine, replicaGoneIn } = snapshot;
  const { status, metadata } = machine;
  const why = waitingFor(snapshot, now);
  const gone = status?.connection?.online === true && replicaGoneIn === 0;
  const write = statusPatch(
    machine,
    {
      observedGeneration: metadata.generation,
      waiting: why === undefined ? undefined : waiting(why, status?.waiting, now),
      ...(gone ? { connection: offline(status.connection, now) } : {}),
    },
    now,
  );
  return { write, nextCheckSeconds: nextCheck(snapshot, now), wentOffline: gone };
}

function waiting(
  { reason, message }: Reason,
  before: NixMachineStatus['waiting'],
  now: Date,
): NonNullable<NixMachineStatus['waiting']> {
  const since = before?.reason === reason ? before.since : rfc3339(now);
  return { reason, message: message.slice(0, MESSAGE_LIMIT), since };
}

function offline(before: NixMachineStatus['connection'], now: Date): NonNullable<NixMachineStatus['connection']> {
  const lastSeen = before?.lastSeen;
  return { online: false, since: rfc3339(now), ...(lastSeen === undefined ? {} : { lastSeen }) };
}

/** The first reason of its own for not moving. What holds for all machines of a config is said there, not here. */
function waitingFor(snapshot: MachineSnapshot, now: Date): Reason | undefined {
  return (
    wrongSpec(snapshot) ??
    wrongKey(snapshot) ??
    held(snapshot, now) ??
    forUser(snapshot, now) ??
    nothingToRun(snapshot, now)
  );
}

function wrongSpec({ machine }: MachineSnapshot): Reason | undefined {
  const { status: _, ...rest } = machine;
  const parsed = parseNixMachine(rest);
  if (!parsed.ok) return { reason: 'InvalidSpec', message: `${parsed.field || 'spec'}: ${parsed.message}` };
  if (specOf(machine).identity !== undefined && keyOfMachine(machine) === undefined) {
    const message =
      'spec.identity.sshHostKey: this is no ed25519 public key; use the text of /etc/ssh/ssh_host_ed25519_key.pub';
    return { reason: 'InvalidSpec', message };
  }
  const fault = sshFault(machine);
  return fault === undefined ? undefined : { reason: 'InvalidSpec', message: fault };
}

function wrongKey({ machine, keyKeeper }: MachineSnapshot): Reason | undefined {
  const pending = keyToApprove(machine);
  if (pending !== undefined) {
    const { name, namespace } = machine.metadata;
    const message = `asks to join with the key ${pending.fingerprint}: compare it with the machine's, then run kubectl floe approve machine/${name} -n ${namespace}`;
    return { reason: 'PendingApproval', message };
  }
  if (specOf(machine).identity === undefined && keyOfMachine(machine) === undefined) {
    const message =
      'spec.identity.sshHostKey is not set: add the text of /etc/ssh/ssh_host_ed25519_key.pub, so that its agent is let in';
    return { reason: 'NoIdentity', message };
  }
  if (keyKeeper === undefined) return undefined;
  return { reason: 'DuplicateKey', message: duplicateKeyMessage(machine, keyKeeper) };
}

function held({ machine }: MachineSnapshot, now: Date): Reason | undefined {
  return isHeld(machine, now) ? { reason: 'OnHold', message: heldMessage(machine) } : undefined;
}

function forUser({ machine }: MachineSnapshot, now: Date): Reason | undefined {
  const wait = consentWait(machine, now.getTime());
  return wait === undefined ? undefined : { reason: 'WaitingForUser', message: wait.message };
}

function nothingToRun({ machine, config, closure, isSelected }: MachineSnapshot, now: Date): Reason | undefined {
  const name = specOf(machine).configRef?.name ?? '';
  if (config === undefined) {
    if (ageSeconds(machine.metadata.creationTimestamp, now) < CONFIG_GRACE_SECONDS) return undefined;
    return {
      reason: 'NoConfig',
      message: `there is no NixConfig ${name} in this namespace; create it, or correct spec.configRef`,
    };
  }
  const revision = config.status?.revision;
  // Before anything is built there is nothing to wait for that the NixConfig does not say itself.
  if (revision === undefined) return undefined;
  if (closure.kind === 'failure') {
    return { reason: 'NotBuilt', message: `${shortRevision(revision.id)} is not built for it: ${closure.message}` };
  }
  if (config.spec?.delivery === 'Immediate' || isSelected) return undefined;
  return {
    reason: 'NoRollout',
    message: `no Rollout selects it: make one for NixConfig ${name}, widen the selector of one, or set its delivery to Immediate`,
  };
}

function nextCheck({ machine, config, replicaGoneIn }: MachineSnapshot, now: Date): number | undefined {
  const until = specOf(machine).hold?.until;
  const times = [
    isHeld(machine, now) && until !== undefined ? (Date.parse(until) - now.getTime()) / 1000 : undefined,
    config === undefined ? CONFIG_GRACE_SECONDS - ageSeconds(machine.metadata.creationTimestamp, now) : undefined,
    userLimit(machine, now),
    replicaGoneIn,
  ].filter((seconds): seconds is number => seconds !== undefined && seconds > 0);
  return times.length === 0 ? undefined : Math.min(...times);
}

function userLimit(machine: NixMachine, now: Date): number | undefined {
  const wait = consentWait(machine, now.getTime());
  return wait === undefined ? undefined : (wait.until - now.getTime()) / 1000;
}

function ageSeconds(created: string | undefined, now: Date): number {
  const age = created === undefined ? Number.NaN : (now.getTime() - Date.parse(created)) / 1000;
  return Number.isNaN(age) ? Number.POSITIVE_INFINITY : age;
}
