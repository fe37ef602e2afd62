// Properties of a planner that measures: over random fleets, analyses, results and histories.
import type { MeasurementResult } from '@floe/crds/analysis';
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Event, Fleet } from '../fleet.fixture.ts';
import { checkKstatus } from '../kstatus-of-plan.fixture.ts';
import { plan } from '../plan.ts';
import type { Plan } from '../plan-result.ts';
import { R1, R2 } from '../rollout.fixture.ts';
import type { Measured } from './memory.ts';

const prometheus = { address: 'http://p', query: 'up' };
const limits = fc.record({
  count: fc.integer({ min: 1, max: 3 }),
  failureLimit: fc.constantFrom(0, 1),
  consecutiveErrorLimit: fc.constantFrom(0, 1),
  dryRun: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom<Step>({ batch: { size: 1 } }, { batch: { size: '50%', soak: '1m' } }, { pause: { duration: '1m' } }),
  limits.map((more): Step => ({ analysis: { prometheus, interval: '30s', ...more } })),
);
const spec: fc.Arbitrary<Partial<RolloutSpec>> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 4 }),
  maxUnavailable: fc.constantFrom(1, 2, '100%'),
  onFailure: fc.constantFrom('Pause' as const, 'Rollback' as const, 'Continue' as const),
  successThreshold: fc.constantFrom(100, 50),
});
const background = fc.constantFrom<RolloutSpec['analysis'] | undefined>(
  undefined,
  {},
  { prometheus, interval: '1m' },
  { builtIn: false },
);

const who = fc.integer({ min: 0, max: 4 });
const verb = fc.constantFrom('approve' as const, 'retry' as const, 'continue' as const, 'rollback' as const);
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('begin' as const), machine: who }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('end' as const), machine: who, fate: fc.constant('Committed' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sick' as const, 'well' as const), machine: who }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20, 60, 400) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('verb' as const), verb }) },
);
/** What is measured next; undefined: no result yet. */
const result = fc.constantFrom<MeasurementResult | undefined>(
  'Successful',
  'Successful',
  'Successful',
  'Failed',
  'Inconclusive',
  'Error',
  undefined,
);
const history = fc.array(fc.tuple(event, result), { maxLength: 60 });

function resultsOf(planned: Plan | undefined, what: MeasurementResult | undefined, at: number): Measured[] {
  if (what === undefined) return [];
  return (planned?.measure ?? []).map(({ run, scope, index, startedAt, number, rules }) => {
    const measurement = { result: what, value: undefined, at, message: undefined };
    return { run, scope, index, startedAt, metric: rules.name, number, measurement };
  });
}

test('who waits for analysis is not told; the order of machines and results, repetition and restarts change nothing', () => {
  fc.assert(
    fc.property(spec, background, history, (policy, analysis, events) => {
      const labels = Array.from({ length: 5 }, () => ({ role: 'a' }));
      const all = analysis === undefined ? policy : { ...policy, analysis };
      const fleet = new Fleet({ spec: all, labels, writer: 'operator', revision: R1, watches: true });
      fleet.apply(fleet.plan());
      fleet.revision = R2;
      let before: Plan | undefined;
      for (const [happening, what] of events) {
        fleet.happen(happening);
        const measured = resultsOf(before, what, fleet.now);
        const look = (machines = fleet.machines, results = measured) =>
          plan({ ...fleet.snapshot(machines), measured: results }, new Date(fleet.now));
        const planned = look();
        expect(look(fleet.machines.toReversed(), [...measured.toReversed(), ...measured])).toEqual(planned);
        checkPlan(planned);
        checkKstatus(planned);
        fleet.apply(planned);
        // The leader dies, or the same results come once more: nothing more follows.
        const again = look();
        expect(again.status.analysis).toEqual(planned.status.analysis);
        expect(again.status.step).toEqual(planned.status.step);
        before = again;
      }
    }),
    { numRuns: 300 },
  );
});

function checkPlan({ hold, dispatch, measure, phase, status, nextCheck, budget }: Plan): void {
  const waits = hold.some(({ reason }) => reason === 'WaitingForAnalysis');
  if (waits) expect(dispatch).toEqual([]);
  expect(dispatch.length).toBeLessThanOrEqual(Math.max(0, budget.free) + budget.unavailable);
  if (phase === 'Completed' || phase === 'Failed' || phase === 'RollingBack') expect(measure).toEqual([]);
  // What is measured has an end, and is told only once.
  if (measure.length > 0) expect(nextCheck).not.toBeNull();
  expect(new Set(measure.map(({ scope, rules }) => `${scope} ${rules.name}`)).size).toBe(measure.length);
  for (const metric of [...(status.analysis?.step?.metrics ?? []), ...(status.analysis?.background?.metrics ?? [])]) {
    expect(metric.measurements?.length ?? 0).toBeLessThanOrEqual(5);
  }
}

test('the built-in check delays nobody: until it fails a run, the same machines are told as without it', () => {
  fc.assert(
    fc.property(spec, history, (policy, events) => {
      const labels = Array.from({ length: 5 }, () => ({ role: 'a' }));
      const [watched, bare] = [{ watches: true as const }, {}].map(
        (more) => new Fleet({ spec: policy, labels, writer: 'operator', revision: R1, clocks: [0], ...more }),
      ) as [Fleet, Fleet];
      for (const fleet of [watched, bare]) {
        fleet.apply(fleet.plan());
        fleet.revision = R2;
      }
      for (const [happening] of events) {
        for (const fleet of [watched, bare]) fleet.happen(happening);
        const [one, other] = [watched.plan(), bare.plan()];
        if (one.status.analysis?.cause !== undefined) {
          // It fails a run for machines alone that have it and turned bad.
          expect(one.status.analysis.builtIn?.machines ?? []).not.toEqual([]);
          return;
        }
        const gist = ({ dispatch, fetch, rollback, hold, phase, step, counts, nextCheck }: Plan) => ({
          ...{ dispatch, fetch, rollback, hold, phase, step, counts, nextCheck },
        });
        expect(gist(one)).toEqual(gist(other));
        watched.apply(one);
        bare.apply(other);
      }
    }),
    { numRuns: 150 },
  );
});
