// Rollouts, configs and machines for tests of the planner.
import type { NixConfig } from '@floe/crds/nix-config';
import type { Attempt, Desired, NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Rollout, RolloutSpec, RolloutStatus, Step } from '@floe/crds/rollout';
import { closuresOf } from './closures.ts';
import { plan } from './plan.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';

export const T0 = Date.parse('2026-03-01T12:00:00Z');
export const MINUTE = 60_000;
export const R1 = '111111111111';
export const R2 = '222222222222';
export const R3 = '333333333333';

/** RFC 3339 of a moment so many ms after T0. */
export const at = (ms: number): string => rfc3339Exact(T0 + ms);

/** The closure of a machine in a revision, as `floe plan` names it without records. */
export const closure = (revision: string, machine: string): string => `${revision}/${machine}`;

export function rollout(spec: Partial<RolloutSpec> = {}, status?: RolloutStatus, meta: object = {}): Rollout {
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'Rollout',
    metadata: { name: 'web', namespace: 'shop', uid: 'u-web', generation: 1, creationTimestamp: at(-MINUTE), ...meta },
    spec: { configRef: { name: 'web' }, ...spec },
    ...(status === undefined ? {} : { status }),
  };
}

export function config(revision: string | undefined, spec: Partial<NixConfig['spec']> = {}): NixConfig {
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixConfig',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { source: { flake: 'github:acme/fleet' }, ...spec },
    ...(revision === undefined ? {} : { status: { revision: { id: revision, source: 'main', builtAt: at(0) } } }),
  };
}

export type MachineOptions = {
  readonly labels?: Record<string, string>;
  readonly hold?: NixMachine['spec']['hold'];
  readonly created?: string;
  readonly presence?: 'Coarse';
};

export function machine(name: string, status: NixMachineStatus = {}, options: MachineOptions = {}): NixMachine {
  const { labels, hold, created, presence } = options;
  return {
    apiVersion: 'floe.dev/v1alpha1',
    kind: 'NixMachine',
    metadata: {
      name,
      namespace: 'shop',
      creationTimestamp: created ?? at(-MINUTE),
      ...(labels === undefined ? {} : { labels }),
    },
    spec: {
      configRef: { name: 'web' },
      ...(hold === undefined ? {} : { hold }),
      ...(presence === undefined ? {} : { presence }),
    },
    status,
  };
}

/** Status of a machine that is online since long and runs a revision. */
export function runs(name: string, revision: string, more: NixMachineStatus = {}): NixMachineStatus {
  const current = { closure: closure(revision, name), revision };
  return {
    connection: { online: true, since: at(-10 * MINUTE) },
    current,
    bootDefault: current,
    failedUnits: [],
    ...more,
  };
}

/** `connection` of a machine that is off since so many ms after T0. */
export const off = (since = -5 * MINUTE): NixMachineStatus => ({ connection: { online: false, since: at(since) } });

/** Part of a status: Healthy is False since so many ms after T0. */
export function sick(since = -5 * MINUTE): NixMachineStatus {
  const condition = {
    type: 'Healthy',
    status: 'False' as const,
    reason: 'UnitsFailed',
    message: 'x',
    lastTransitionTime: at(since),
  };
  return { conditions: [condition], failedUnits: ['hello.service'] };
}

/** Part of a status: told a revision by the run so many ms after T0, and how that went. */
export function told(
  name: string,
  revision: string,
  since: number,
  attempt?: Partial<Attempt>,
  desired: Partial<Desired> = {},
): NixMachineStatus {
  const id = `${name}-${revision}-${since}`;
  return {
    desired: {
      id,
      sequence: 1,
      revision,
      closure: closure(revision, name),
      rollout: 'web',
      reason: 'Rollout',
      go: true,
      since: at(since),
      ...desired,
    },
    ...(attempt === undefined
      ? {}
      : { attempt: { desiredId: id, to: desired.closure ?? closure(revision, name), phase: 'Testing', ...attempt } }),
  };
}

/** Status of a machine that took a revision: told and committed so many ms after T0. */
export function took(name: string, revision: string, when: number, more: NixMachineStatus = {}): NixMachineStatus {
  const attempt = { phase: 'Committed', from: closure(R1, name), finishedAt: at(when) };
  return { ...runs(name, revision), ...told(name, revision, when, attempt), ...more };
}

/** Status of a machine that tried a revision and is back on R1. */
export function failed(name: string, revision: string, when: number, phase = 'RolledBack'): NixMachineStatus {
  const attempt = { phase, from: closure(R1, name), finishedAt: at(when), message: 'hello.service failed (exit 1)' };
  return { ...runs(name, R1), ...told(name, revision, when, attempt) };
}

export type Scene = {
  readonly spec?: Partial<RolloutSpec>;
  readonly status?: RolloutStatus;
  readonly machines: readonly NixMachine[];
  /** Revision that is built; default R2. */
  readonly revision?: string | undefined;
  readonly annotations?: Record<string, string>;
  readonly others?: readonly Rollout[];
  /** ms after T0. */
  readonly now?: number;
  readonly snapshot?: Partial<Snapshot>;
};

/** Status of a run of R2 that began at T0, with R1 stable. */
export function running(more: RolloutStatus = {}): RolloutStatus {
  return { revision: R2, stableRevision: R1, run: 'run1', startedAt: at(0), phase: 'Progressing', ...more };
}

/** Plans a scene. */
export function planScene(scene: Scene): Plan {
  const { spec, status, machines, annotations, others = [], now = 0 } = scene;
  const own = rollout(spec, status, annotations === undefined ? {} : { annotations });
  const revision = 'revision' in scene ? scene.revision : R2;
  return plan(
    {
      rollout: own,
      rollouts: [own, ...others],
      config: config(revision),
      machines,
      closures: closuresOf([], 'web', 'built'),
      ...scene.snapshot,
    },
    new Date(T0 + now),
  );
}

/** `m1 … mN`, online on R1. */
export function fleet(count: number, revision = R1): NixMachine[] {
  return Array.from({ length: count }, (_, i) => machine(`m${i + 1}`, runs(`m${i + 1}`, revision)));
}

export const batch = (size?: number | string, more: object = {}): Step => ({
  batch: { ...(size === undefined ? {} : { size }), ...more },
});
export const pause = (duration?: string): Step => ({ pause: duration === undefined ? {} : { duration } });

/** Names of the machines in a list of a plan, sorted. */
export const namesIn = (list: readonly { readonly machine: string }[]): string[] =>
  list.map(({ machine }) => machine).sort();

/** Reason by machine. */
export const reasons = ({ hold }: Plan): Record<string, string> =>
  Object.fromEntries(hold.map(({ machine, reason }) => [machine, reason]));
