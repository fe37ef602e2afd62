// Tests of the heap of delayed keys.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DelayHeap } from './delay-heap.ts';

test('gives out keys in the order of their time, each once, at the earliest it was offered for', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('offer' as const), key: fc.constantFrom(...'abcdefgh'), at: fc.nat({ max: 50 }) }),
    fc.record({ kind: fc.constant('remove' as const), key: fc.constantFrom(...'abcdefgh'), at: fc.constant(0) }),
    fc.record({ kind: fc.constant('take' as const), key: fc.constant(''), at: fc.nat({ max: 50 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const heap = new DelayHeap();
      const model = new Map<string, number>();
      for (const { kind, key, at } of steps) {
        if (kind === 'offer') {
          heap.offer(key, at);
          model.set(key, Math.min(at, model.get(key) ?? at));
        } else if (kind === 'remove') {
          heap.remove(key);
          model.delete(key);
        } else {
          expectDue(heap, model, at);
        }
        expect(heap.size).toBe(model.size);
        expect(heap.first).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
      }
    }),
  );
});

function expectDue(heap: DelayHeap, model: Map<string, number>, now: number): void {
  const due = heap.takeDue(now);
  const times = due.map((key) => model.get(key) ?? Number.NaN);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect([...due].sort()).toEqual([...model.keys()].filter((key) => (model.get(key) ?? 0) <= now).sort());
  for (const key of due) {
    model.delete(key);
  }
}
