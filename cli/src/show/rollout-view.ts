// What there is to see of a rollout at one moment, from the API alone.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Counts, Rollout, RolloutPhase } from '@floe/crds/rollout';
import { factsOf, isFinal } from '@floe/operator/rollout/facts';
import { stepName } from '../course-text.ts';

export type StepView = {
  readonly name: string;
  readonly state: 'done' | 'now' | 'failed' | 'later';
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
    steps: stepsOf(rollout),
    counts,
    inHand: machines.flatMap((machine) => inHandOf(machine, rollout)),
    message: messageOf(status),
  };
}

function stepsOf({ spec, status = {} }: Rollout): StepView[] {
  const { phase, step } = status;
  if (step === undefined) return [];
  return Array.from({ length: step.total }, (_, index) => ({
    name: stepName(spec, index),
    state: stateOf(index, step.index, phase),
  }));
}

function stateOf(index: number, now: number, phase: RolloutPhase | undefined): StepView['state'] {
  if (phase === 'Completed' || index < now) return 'done';
  if (index > now) return 'later';
  return phase === 'Failed' || phase === 'RollingBack' ? 'failed' : 'now';
}

function inHandOf(machine: NixMachine, { metadata, status }: Rollout): { machine: string; phase: string }[] {
  const { desired } = machine.status ?? {};
  if (desired?.rollout !== metadata.name || desired.run !== status?.run) return [];
  const { own, current } = factsOf(machine, 0);
  if (own !== undefined && isFinal(own)) return [];
  if (own === undefined && current === desired.closure) return [];
  const { name } = machine.metadata;
  return [{ machine: name, phase: own?.phase ?? (desired.go ? 'told' : 'told to fetch') }];
}

function messageOf({ conditions = [] }: NonNullable<Rollout['status']>): string {
  const stalled = conditions.find(({ type, status }) => type === 'Stalled' && status === 'True');
  const ready = conditions.find(({ type }) => type === 'Ready');
  return (stalled ?? ready)?.message ?? 'nothing has begun';
}
