// The objects of the bench: one NixConfig that builds nothing, its revisions as records, N NixMachines and one Rollout.
import { createHash } from 'node:crypto';
import { API_VERSION, LABEL_CONFIG, LABEL_REVISION, MACHINES_PER_RECORD } from '@floe/crds/constants';
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout } from '@floe/crds/rollout';

/** Namespace of the bench's machines. */
export const NAMESPACE = 'fleet';
/** Name of its NixConfig and of its Rollout. */
export const NAME = 'bench';

/** `m0001` and on: as many digits as the number of machines has. */
export function machineNames(count: number): string[] {
  const digits = String(count).length;
  return Array.from({ length: count }, (_, index) => `m${String(index + 1).padStart(digits, '0')}`);
}

/** Id of the n-th revision: 12 hex digits. */
export function revisionId(number: number): string {
  return hash(`revision ${number}`).slice(0, 12);
}

/** The closure that a machine has in a revision: each has one of its own. */
export function closureOf(revision: string, machine: string): string {
  // Nix' digits have no e.
  const digest = hash(`${revision}/${machine}`).slice(0, 32).replaceAll('e', 'z');
  return `/nix/store/${digest}-nixos-system-${machine}-${revision}`;
}

/** A config that looks at nothing: its revisions are written by the bench. */
export function configObject(): NixConfig {
  return {
    apiVersion: API_VERSION,
    kind: 'NixConfig',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: { source: { inline: { files: { 'flake.nix': '{ outputs = _: { }; }' } } }, suspend: true },
  };
}

/** What the config's status says once the revision is built. */
export function builtStatus(revision: string, now: Date): Pick<NonNullable<NixConfig['status']>, 'revision'> {
  return { revision: { id: revision, source: `bench@${revision}`, builtAt: now.toISOString() } };
}

export function machineObject(name: string, sshHostKey: string): NixMachine {
  return {
    apiVersion: API_VERSION,
    kind: 'NixMachine',
    metadata: { name, namespace: NAMESPACE },
    spec: { configRef: { name: NAME }, identity: { sshHostKey } },
  };
}

/** One batch of all, with nothing that holds anybody back. */
export function rolloutObject(): Rollout {
  return {
    apiVersion: API_VERSION,
    kind: 'Rollout',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: { configRef: { name: NAME }, maxUnavailable: '100%' },
  };
}

/** The records of a revision, as a build Job reports them. `number` rises with each revision. */
export function recordObjects(
  revision: string,
  machines: readonly string[],
  { now, number, perRecord = MACHINES_PER_RECORD }: { now: Date; number: number; perRecord?: number },
): ControllerRevision[] {
  const parts = Math.max(1, Math.ceil(machines.length / perRecord));
  const job = `${NAME}-${revision}`;
  return Array.from({ length: parts }, (_, part) => ({
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${job}-${hash(job).slice(0, 8)}-${part}`,
      namespace: NAMESPACE,
      labels: { [LABEL_CONFIG]: NAME, [LABEL_REVISION]: revision },
    },
    revision: number,
    data: {
      config: NAME,
      revision,
      source: `bench@${revision}`,
      builtAt: now.toISOString(),
      part,
      parts,
      job,
      machines: Object.fromEntries(
        machines.slice(part * perRecord, (part + 1) * perRecord).map((name) => [name, closureOf(revision, name)]),
      ),
      failures: {},
      summary: { seconds: 0, closures: machines.length, bytes: 0, builtDerivations: 0 },
    },
  }));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
