// The plan of a Rollout that can't move anybody: nothing built yet, no config, a wrong spec, another delivery.
import type { Verb } from '@floe/crds/constants';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { RolloutStatus } from '@floe/crds/rollout';
import { type Budget, budgetOf } from './budget.ts';
import { conditionsOf } from './conditions.ts';
import type { Description } from './describe.ts';
import type { Facts } from './facts.ts';
import { minReadyOf } from './min-ready.ts';
import { ordersWith } from './order-record.ts';
import type { Plan } from './plan-result.ts';
import type { Snapshot } from './snapshot.ts';
import { headOf } from './status.ts';
import type { Hold, HoldReason } from './tell.ts';

/** What is in the way. */
export type Obstacle =
  | { readonly kind: 'spec'; readonly message: string }
  | { readonly kind: 'noConfig' }
  | { readonly kind: 'immediate' }
  | { readonly kind: 'notBuilt' };

/** What keeps the Rollout from moving anybody, apart from there being nothing built. */
export function obstacleOf({ rollout, config }: Snapshot, specError?: string): Obstacle | undefined {
  if (specError !== undefined) return { kind: 'spec', message: specError };
  if (config === undefined) return { kind: 'noConfig' };
  if (config.spec.delivery === 'Immediate') return { kind: 'immediate' };
  return rollout.metadata.deletionTimestamp === undefined ? undefined : { kind: 'notBuilt' };
}

type Parts = {
  readonly facts: readonly Facts[];
  readonly elsewhere: readonly { readonly machine: string; readonly owner: string }[];
  readonly verbs: ReadonlyMap<Verb, string>;
};

/** A plan that tells nobody anything. What the status remembers of a run stays. */
export function idlePlan(
  { rollout, config }: Snapshot,
  obstacle: Obstacle,
  now: number,
  { facts, elsewhere, verbs }: Parts = { facts: [], elsewhere: [], verbs: new Map() },
): Plan {
  const { name } = rollout.metadata;
  const said = saying(obstacle, rollout.spec.configRef?.name ?? '?', config?.status?.build?.phase);
  const description: Description = {
    phase: 'Idle',
    reason: said.reason,
    message: said.message,
    stalled: said.stalled ? said.message : undefined,
    newer: undefined,
    incomplete: undefined,
    overlapping: undefined,
    nothingSelected: undefined,
  };
  const conditions = conditionsOf(rollout, description, now);
  const status: RolloutStatus = {
    ...rollout.status,
    ...headOf(rollout, verbs),
    ...ordersWith(rollout, verbs, now),
    phase: phaseOf(rollout.status),
    conditions,
  };
  const budget: Budget = budgetOf(
    { rollout: name, run: undefined, minReady: minReadyOf(rollout.spec, undefined, now) },
    rollout.spec.maxUnavailable,
    facts,
  );
  return {
    rollout: name,
    phase: phaseOf(rollout.status),
    step: { index: status.step?.index ?? 0, total: status.step?.total ?? 0 },
    dispatch: [],
    adopt: [],
    reboot: [],
    rebootsWaiting: 0,
    fetch: [],
    hold: [
      ...facts.map((fact): Hold => ({ machine: fact.name, reason: said.hold, message: said.message })),
      ...elsewhere.map(
        ({ machine, owner }): Hold => ({
          machine,
          reason: 'OtherRollout',
          message: `belongs to the older Rollout ${owner}`,
        }),
      ),
    ],
    rollback: [],
    measure: [],
    budget,
    counts: {
      total: facts.length,
      updated: 0,
      updating: 0,
      failed: 0,
      offline: facts.filter(({ online }) => !online).length,
      pending: facts.length,
      unavailable: budget.unavailable,
      notBuilt: 0,
      pendingReboot: 0,
    },
    conditions,
    nextCheck: nextHold(facts, now),
    status,
  };
}

/** A run that is remembered goes on where it stood once nothing is in the way; until then its phase says so. */
function phaseOf(status: RolloutStatus | undefined): NonNullable<RolloutStatus['phase']> {
  return status?.revision === undefined ? 'Idle' : (status.phase ?? 'Idle');
}

function nextHold(facts: readonly Facts[], now: number): string | null {
  const ends = facts.flatMap(({ hold }) => (hold?.until !== undefined && hold.until > now ? [hold.until] : []));
  return ends.length === 0 ? null : rfc3339Exact(Math.min(...ends));
}

type Saying = {
  readonly reason: string;
  readonly message: string;
  readonly stalled: boolean;
  readonly hold: HoldReason;
};

function saying(obstacle: Obstacle, config: string, build: string | undefined): Saying {
  switch (obstacle.kind) {
    case 'spec':
      return { reason: 'InvalidSpec', message: obstacle.message, stalled: true, hold: 'InvalidSpec' };
    case 'noConfig': {
      const message = `spec.configRef.name: there is no NixConfig ${config} in this namespace; create it or name another`;
      return { reason: 'ConfigNotFound', message, stalled: false, hold: 'NotBuilt' };
    }
    case 'immediate': {
      const message = `spec.delivery of NixConfig ${config} is Immediate: its machines move without a Rollout; set it to Rollout or delete this Rollout`;
      return { reason: 'DeliveryImmediate', message, stalled: true, hold: 'DeliveryImmediate' };
    }
    case 'notBuilt': {
      const doing = build === undefined ? '' : ` (${build})`;
      return {
        reason: 'NotBuilt',
        message: `waiting for NixConfig ${config} to be built${doing}`,
        stalled: false,
        hold: 'NotBuilt',
      };
    }
    default:
      return obstacle satisfies never;
  }
}
