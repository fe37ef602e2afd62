// The plan in the form that `floe plan` prints and that others rely on.
import type { Plan } from '@floe/operator/rollout/plan-result';

type Told = { machine: string; closure: string };

/** The fields of the printed plan, in their order. */
export type PrintedPlan = Omit<
  Plan,
  'dispatch' | 'fetch' | 'rollback' | 'adopt' | 'reboot' | 'rebootsWaiting' | 'measure'
> & {
  dispatch: Told[];
  fetch: Told[];
  rollback: Told[];
  /** Machines that run the closure already: their order is written again, and nothing changes on them. */
  adopt: Told[];
  /** Machines that may restart now; absent: nobody. */
  reboot?: Told[];
};

/** A plan without what only the operator needs of it. */
export function printedPlan(plan: Plan): PrintedPlan {
  const told = (orders: Plan['dispatch']): Told[] => orders.map(({ machine, closure }) => ({ machine, closure }));
  return {
    rollout: plan.rollout,
    phase: plan.phase,
    step: plan.step,
    dispatch: told(plan.dispatch),
    fetch: told(plan.fetch),
    hold: plan.hold,
    rollback: told(plan.rollback),
    adopt: told(plan.adopt),
    ...(plan.reboot.length === 0 ? {} : { reboot: plan.reboot.map(({ machine, closure }) => ({ machine, closure })) }),
    budget: plan.budget,
    counts: plan.counts,
    conditions: plan.conditions,
    nextCheck: plan.nextCheck,
    status: plan.status,
  };
}
