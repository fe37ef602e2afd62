// The measurements that are due now, with all that whoever takes them needs to know.
import type { Position } from '../course.ts';
import type { Context } from '../state.ts';
import type { Scope } from './memory.ts';
import type { MetricRules } from './metric.ts';
import { sampled, type Variables } from './variables.ts';

/** One measurement to take. */
export type MeasurementTask = {
  readonly run: string;
  readonly scope: Scope;
  /** Of a step: which one; in the background 0. */
  readonly index: number;
  /** When the analysis began that it belongs to, in ms. */
  readonly startedAt: number;
  /** Measurements of the metric that were taken before. */
  readonly number: number;
  readonly rules: MetricRules;
  readonly variables: Variables;
};

/** What is due at the moment of the plan. The same one stays due until its result is in the status. */
export function tasksOf(position: Position, { snapshot, now }: Context): readonly MeasurementTask[] {
  const due = position.analysis.upcoming.filter(({ at }) => at <= now);
  if (due.length === 0) return [];
  const { run } = position.state;
  const { name, namespace = '' } = snapshot.rollout.metadata;
  const updated: string[] = [];
  const control: string[] = [];
  for (const { facts, standing, told } of position.members) {
    const has = standing.kind === 'updated' || standing.kind === 'soaking';
    if (told && has) updated.push(facts.name);
    else if (!has && facts.online && !facts.inHand) control.push(facts.name);
  }
  const variables: Variables = {
    revision: run.revision,
    stableRevision: position.state.stableRevision ?? '',
    rollout: name,
    namespace,
    machines: sampled(updated, run.id),
    control: sampled(control, run.id),
  };
  return due.map(({ scope, index, startedAt, number, rules }) => ({
    run: run.id,
    scope,
    index,
    startedAt,
    number,
    rules,
    variables,
  }));
}
