// Properties of the planner where times are as they really come to be: cut to seconds, or said by clocks that are wrong.
import type { RolloutSpec, Step } from '@floe/crds/rollout';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Clocks, type Event, Fleet } from './fleet.fixture.ts';
import { R1, R2 } from './rollout.fixture.ts';

const MACHINES = 5;

const step: fc.Arbitrary<Step> = fc.record({
  batch: fc.record({ size: fc.constantFrom(1, 2, '60%'), soak: fc.constantFrom('0s', '2s', '90s') }),
});
const spec: fc.Arbitrary<Partial<RolloutSpec>> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 3 }),
  maxUnavailable: fc.constantFrom(1, 2, '100%'),
  successThreshold: fc.constantFrom(100, 50, 0),
  onFailure: fc.constantFrom('Pause' as const, 'Continue' as const, 'Rollback' as const),
});
/** Right to the ms, and some minutes wrong both ways. */
const clocks = fc.constantFrom<Clocks>([0], [0, 40], [0, 200_000, -20_000], [3_600_000]);

const who = fc.integer({ min: 0, max: MACHINES - 1 });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('begin' as const), machine: who }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      machine: who,
      fate: fc.constantFrom('Committed' as const, 'Committed' as const, 'Committed' as const, 'RolledBack' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('off' as const, 'on' as const), machine: who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sick' as const, 'well' as const), machine: who }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.constantFrom(0.01, 0.3, 0.7, 1, 45, 100) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('verb' as const), verb: fc.constant('continue' as const) }) },
);
const history = fc.array(event, { minLength: 10, maxLength: 50, size: 'max' });

function fleetOf(given: Partial<RolloutSpec>, times: Clocks): Fleet {
  const labels = Array.from({ length: MACHINES }, () => ({}));
  const fleet = new Fleet({ spec: given, labels, writer: 'operator', revision: R1, clocks: times });
  fleet.apply(fleet.plan());
  fleet.revision = R2;
  return fleet;
}

test('time alone takes nothing back: who is updated or failed stays so while nothing happens', () => {
  fc.assert(
    fc.property(spec, clocks, history, (given, times, events) => {
      const fleet = fleetOf(given, times);
      for (const happening of events) {
        fleet.happen(happening);
        fleet.apply(fleet.plan());
      }
      let before = fleet.plan();
      for (const seconds of [0.4, 0.7, 30, 90, 200, 2000, 4000]) {
        fleet.rollout = { ...fleet.rollout, status: before.status };
        fleet.now += seconds * 1000;
        const after = fleet.plan();
        expect(after.status.run).toBe(before.status.run);
        expect(after.counts.updated).toBeGreaterThanOrEqual(before.counts.updated);
        expect(after.counts.failed).toBeGreaterThanOrEqual(before.counts.failed);
        before = after;
      }
    }),
    { numRuns: 400 },
  );
}, 60_000);
