// Explored: any order of crash, restart, message loss, doubling, delay and clock jump, with orders that follow each other.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Course, type Event } from './course.fixture.ts';
import type { Order } from './record.ts';

const change: fc.Arbitrary<Partial<Order>> = fc.record(
  {
    mode: fc.constantFrom('switch', 'switch', 'boot'),
    rebootPolicy: fc.constantFrom('WhenRequired', 'InWindow'),
    mayReboot: fc.constant(true),
  },
  { requiredKeys: [] },
);

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Event>({ kind: 'nothing' }) },
  { weight: 4, arbitrary: fc.constant<Event>({ kind: 'deliver' }) },
  { weight: 2, arbitrary: fc.constantFrom<Event>({ kind: 'kill' }, { kind: 'power' }, { kind: 'leave' }) },
  { weight: 2, arbitrary: fc.constantFrom<Event>({ kind: 'lose' }, { kind: 'double' }, { kind: 'delay' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('order'),
      closure: fc.constantFrom(0, 1, 2),
      change,
    }) as fc.Arbitrary<Event>,
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('jump'),
      seconds: fc.integer({ min: -1e8, max: 1e8 }),
    }) as fc.Arbitrary<Event>,
  },
);

/** How often each end was seen: an exploration that never gets anywhere shows nothing. */
const seen = new Map<string, number>();

test('never unconfirmed and committed, never two attempts active, always a final state', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 80 }), fc.subarray([1, 2]), async (events, sick) => {
      const course = new Course(events, sick);
      const { desired, last } = await course.live();
      const context = `${last?.phase}: ${last?.message}\n${course.trace.join(', ')}`;
      expect(course.violation, context).toBeUndefined();
      if (desired === undefined || last === undefined) return;
      expect(last.step, context).toBe('done');
      expect(last.order.id, context).toBe(desired.id);
      const { current, profile, bootDefault } = course;
      if (last.phase === 'Committed') {
        expect([current, profile, bootDefault], context).toEqual([desired.closure, desired.closure, desired.closure]);
      } else if (last.phase !== 'RebootRequired' && last.before !== undefined) {
        expect(current, context).toBe(last.before.system);
      }
      seen.set(last.phase, (seen.get(last.phase) ?? 0) + 1);
      if (last.cameUp) seen.set('after a reboot', (seen.get('after a reboot') ?? 0) + 1);
    }),
    { numRuns: Number(process.env['FLOE_ATTEMPTS'] ?? 2000) },
  );
  expect([...seen.keys()]).toEqual(expect.arrayContaining(['Committed', 'RolledBack', 'after a reboot']));
});
