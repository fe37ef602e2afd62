// What there is to see of a rollout at one moment, from the API alone.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Counts, Rollout, RolloutPhase } from '@floe/crds/rollout';
import { factsOf, isFinal } from '@floe/operator/rollout/facts';
import { stepName } from '../course-text.ts';

export type StepView = {
  readonly name: string;
  readonly state: 'done' | 'now' | 'failed' | 'later';
  /** Of the batch in hand: machines that have ended of those that it takes. */
  readonly progress?: { readonly done: number; readonly of: number };
};

export type RolloutView = {
  readonly rollout: string;
  readonly phase: RolloutPhase;
  readonly revision: string | undefined;
  /** Where the revision comes from, `main@91ffe02`. */
  readonly source: string | undefined;
  readonly from: string | undefined;
  readonly startedAt: string | undefined;
  readonly estimatedEnd: string | undefined;
  readonly steps: readonly StepView[];
  readonly counts: Counts | undefined;
  /** Machines that have an order of the run in hand, and how far they are. */
  readonly inHand: readonly { readonly machine: string; readonly phase: string }[];
  /** The sentence of the Ready condition; where the run is stalled, with the way on. */
  readonly message: string;
};

/** Looks at a rollout, its config and its machines. */
export function rolloutView(
  rollout: Rollout,
  config: NixConfig | undefined,
  machines: readonly NixMachine[],
): RolloutView {
  const { status = {}, metadata } = rollout;
  const { phase = 'Idle', revision, stableRevision, startedAt, estimatedEnd, counts } = status;
  const built = config?.status?.revision;
  return {
    rollout: metadata.name,
    phase,
    revision,
    source: built?.id === revision ? built?.source : undefined,
    from: stableRevision === revision ? undefined : stableRevision,
    startedAt,
    estimatedEnd,
    steps: stepsOf(rollout, machines),
    counts,
    inHand: machines.flatMap((machine) => inHandOf(machine, rollout)),
    message: messageOf(status),
  };
}

function stepsOf(rollout: Rollout, machines: readonly NixMachine[]): StepView[] {
  const { spec, status = {} } = rollout;
  const { phase, step, completedAt } = status;
  if (step === undefined) return [];
  return Array.from({ length: step.total }, (_, index) => {
    const state = stateOf(index, step.index, completedAt === undefined ? phase : 'Completed');
    const progress = state === 'now' ? progressOf(rollout, machines) : undefined;
    return { name: stepName(spec, index), state, ...(progress === undefined ? {} : { progress }) };
  });
}

/** How far the batch in hand is; undefined in a step that moves nobody. */
function progressOf({ metadata, status }: Rollout, machines: readonly NixMachine[]): StepView['progress'] {
  const { run, step, counts } = status ?? {};
  const began = Date.parse(step?.startedAt ?? '');
  if (step?.toldBefore === undefined || Number.isNaN(began)) return undefined;
  const told = machines.filter(({ status: { desired } = {} }) => {
    const ours = desired?.rollout === metadata.name && desired.run === run && desired.go;
    return ours && Date.parse(desired.since) >= began;
  });
  const done = told.filter((machine) => !isInHand(machine)).length;
  return { done, of: Math.max(told.length, step.size ?? told.length + (counts?.pending ?? 0)) };
}

function stateOf(index: number, now: number, phase: RolloutPhase | undefined): StepView['state'] {
  if (phase === 'Completed' || index < now) return 'done';
  if (index > now) return 'later';
  return phase === 'Failed' || phase === 'RollingBack' ? 'failed' : 'now';
}

function inHandOf(machine: NixMachine, { metadata, status }: Rollout): { machine: string; phase: string }[] {
  const { desired } = machine.status ?? {};
  if (desired?.rollout !== metadata.name || desired.run !== status?.run) return [];
  if (!isInHand(machine)) return [];
  const { name, own } = factsOf(machine, 0);
  return [{ machine: name, phase: own?.phase ?? (desired.go ? 'told' : 'told to fetch') }];
}

/** Whether the machine has not carried out its order. */
function isInHand(machine: NixMachine): boolean {
  const { own, current, desired } = factsOf(machine, 0);
  return own === undefined ? current !== desired?.closure : !isFinal(own);
}

function messageOf({ conditions = [] }: NonNullable<Rollout['status']>): string {
  const stalled = conditions.find(({ type, status }) => type === 'Stalled' && status === 'True');
  const ready = conditions.find(({ type }) => type === 'Ready');
  return (stalled ?? ready)?.message ?? 'nothing has begun';
}
