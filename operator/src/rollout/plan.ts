// The planner of rollouts: from a snapshot and the time to decisions and the next status. No I/O, no clock, no chance.

import type { Verb } from '@floe/crds/constants';
import { parseRollout } from '@floe/crds/parse';
import { rfc3339Exact } from '@floe/crds/rfc3339';
import type { Rollout } from '@floe/crds/rollout';
import { adoptions } from './adopt.ts';
import { withMeasured } from './analysis/memory.ts';
import { tasksOf } from './analysis/tasks.ts';
import { budgetOf } from './budget.ts';
import { countsOf } from './counts.ts';
import { type Position, positionOf, runCourse } from './course.ts';
import { decide } from './decide.ts';
import { blockerOf } from './dependencies.ts';
import { describe } from './describe.ts';
import { withEstimate } from './estimate.ts';
import { type Facts, factsOf } from './facts.ts';
import { groupBudgetsOf } from './group-budgets.ts';
import { idlePlan, obstacleOf } from './idle.ts';
import { minReadyOf } from './min-ready.ts';
import { inOrder } from './order.ts';
import { ownership } from './ownership.ts';
import type { Plan } from './plan-result.ts';
import { withNewTime, withProgress } from './progress.ts';
import { type Run, runOf } from './run.ts';
import type { Snapshot } from './snapshot.ts';
import { begin, type Context, type State } from './state.ts';
import { statusOf } from './status.ts';
import type { Hold } from './tell.ts';
import { Times } from './times.ts';
import { handledWithoutRun, withUrgent } from './urgent.ts';
import { handleVerbs, newVerbs } from './verbs.ts';
import { withWaiting } from './waiting.ts';

const HISTORY_LIMIT = 10;

/** Plans a rollout at `now`. The same snapshot and time always give the same plan, whatever the order of the input. */
export function plan(snapshot: Snapshot, now: Date): Plan {
  const { rollout } = snapshot;
  const obstacle = obstacleOf(snapshot, specError(rollout));
  if (obstacle?.kind === 'spec') return idlePlan(snapshot, obstacle, now.getTime());
  const { owned, left } = ownership(rollout, snapshot.rollouts, snapshot.machines);
  const elsewhere = left
    .map(({ machine, owner }) => ({ machine: machine.metadata.name, owner }))
    .sort((a, b) => (a.machine < b.machine ? -1 : 1));
  const facts = inOrder(rollout.metadata.name, owned, rollout.spec.order?.label).map((machine) =>
    factsOf(machine, now.getTime()),
  );
  const context: Context = {
    snapshot,
    now: now.getTime(),
    historyLimit: rollout.spec.historyLimit ?? HISTORY_LIMIT,
    groups: groupBudgetsOf(snapshot),
    blocker: blockerOf(snapshot),
    times: new Times(rollout.spec),
  };
  const verbs = newVerbs(rollout);
  const found = stateNow(facts, verbs, context);
  const state =
    found &&
    withUrgent(withNewTime(runOf(rollout), found, { spec: rollout.spec, now: now.getTime() }), rollout, {
      verbs,
      now: now.getTime(),
    });
  if (obstacle !== undefined || state === undefined) {
    const handled = state === undefined ? handledWithoutRun(verbs) : verbs;
    return idlePlan(snapshot, obstacle ?? { kind: 'notBuilt' }, now.getTime(), { facts, elsewhere, verbs: handled });
  }
  const position = runCourse(state, facts, context);
  return assemble(position, { facts, elsewhere, verbs, context });
}

/** What is wrong with the spec; old API servers let through what CEL rules refuse. */
function specError({ apiVersion, kind, metadata, spec }: Rollout): string | undefined {
  const parsed = parseRollout({ apiVersion, kind, metadata, spec });
  return parsed.ok ? undefined : `${parsed.field}: ${parsed.message}`;
}

/** The run as it is once verbs and a newer revision were seen to; undefined where there is nothing to bring yet. */
function stateNow(facts: readonly Facts[], verbs: ReadonlyMap<Verb, string>, context: Context): State | undefined {
  const { snapshot } = context;
  const run = withResults(runOf(snapshot.rollout), snapshot.measured);
  const built = snapshot.config?.status?.revision?.id;
  const target = built !== undefined && snapshot.closures.knows(built) ? built : undefined;
  if (run === undefined)
    return target === undefined ? undefined : withSelection(begin(undefined, target, context), facts, context);
  const { stableRevision, history, conditions } = snapshot.rollout.status ?? {};
  const state: State = { run, stableRevision, history: history ?? [], fresh: false };
  const handled = afterVerbs(state, { facts, verbs, context });
  if (target !== undefined && handled.run.revision !== target)
    return withSelection(begin(handled, target, context), facts, context);
  // A run that was complete because nobody was selected starts once somebody is.
  const wasEmpty = conditions?.some(({ type, status }) => type === 'NothingSelected' && status === 'True') ?? false;
  if (wasEmpty && facts.length > 0 && handled.run.completed && handled.stableRevision !== handled.run.revision) {
    return begin(handled, handled.run.revision, context);
  }
  return withSelection(handled, facts, context);
}

function withResults(run: Run | undefined, measured: Snapshot['measured']): Run | undefined {
  if (run === undefined || measured === undefined) return run;
  return { ...run, analysis: withMeasured(run.analysis, run.id, measured) };
}

type Verbs = { readonly facts: readonly Facts[]; readonly verbs: ReadonlyMap<Verb, string>; readonly context: Context };

/** The state after the verbs of a person, which act on the step as it stands in the status. */
function afterVerbs(state: State, { facts, verbs, context }: Verbs): State {
  if (verbs.size === 0) return state;
  const { stage, batch } = positionOf(state, facts, context);
  return handleVerbs(state, verbs, { stage, failed: batch?.failed ?? 0 }, context);
}

/** An empty selection is complete, and makes nothing stable. */
function withSelection(state: State, facts: readonly Facts[], { snapshot }: Context): State {
  const { run } = state;
  if (facts.length === 0)
    return run.stopped === undefined ? { ...state, run: { ...run, completed: true, rollback: undefined } } : state;
  const isHealed =
    run.completed && state.stableRevision === undefined && snapshot.rollout.status?.stableRevision === undefined;
  return isHealed ? { ...state, stableRevision: run.revision } : state;
}

type Parts = {
  readonly facts: readonly Facts[];
  readonly elsewhere: readonly { machine: string; owner: string }[];
  readonly verbs: ReadonlyMap<Verb, string>;
  readonly context: Context;
};

function assemble(reached: Position, { facts, elsewhere, verbs, context }: Parts): Plan {
  const { rollout } = context.snapshot;
  const { name } = rollout.metadata;
  const minReady = minReadyOf(rollout.spec, reached.state.run, context.now);
  const budget = budgetOf({ rollout: name, run: reached.state.run, minReady }, rollout.spec.maxUnavailable, facts);
  const decision = decide(reached, budget, context);
  const waiting = withWaiting(reached, decision, context);
  const run = withProgress(waiting, reached, context);
  const position: Position = { ...reached, state: { ...decision.state, run } };
  const counts = countsOf(position.members, budget.unavailable);
  const description = describe({ position, decision, counts, budget, elsewhere, context });
  const status = withEstimate(statusOf({ position, decision, counts, description, verbs, context }), position, context);
  const { step } = position.state.run;
  return {
    rollout: name,
    phase: description.phase,
    step: { index: step.index, total: position.stages.length },
    dispatch: decision.dispatch,
    fetch: decision.fetch,
    hold: [...decision.hold, ...elsewhere.map(elsewhereHold)],
    rollback: decision.rollback,
    reboot: decision.reboots.told,
    rebootsWaiting: decision.reboots.waiting.size,
    measure: tasksOf(position, context),
    adopt: adoptions(position, name),
    budget,
    counts,
    conditions: status.conditions ?? [],
    nextCheck: decision.nextCheck === undefined ? null : rfc3339Exact(decision.nextCheck),
    status,
  };
}

/** The hold of a machine that an older Rollout owns. */
function elsewhereHold({ machine, owner }: { machine: string; owner: string }): Hold {
  return { machine, reason: 'OtherRollout', message: `belongs to the older Rollout ${owner}` };
}
