import type { NixMachineStatus } from '@floe/crds/nix-machine';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attempt, desired, machine, OFFLINE, onNew, running } from './machine.fixture.ts';
import { mergePatchOf, sameJson } from './merge-patch.ts';
import { type StatusChanges, statusPatch } from './patch.ts';

const NOW = new Date('2026-03-01T10:00:00Z');

/** What an API server does with a merge patch (RFC 7396), written from the RFC. */
function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

describe('mergePatchOf', () => {
  // A merge patch can't carry null as a value, so JSON without null.
  const noNull = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.boolean(),
      fc.integer(),
      fc.string(),
      fc.array(fc.integer(), { maxLength: 3 }),
      tie('object'),
    ),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value'), { noNullPrototype: true }),
  })).object;

  test('applied to the one it gives the other; equal values need none', () => {
    fc.assert(
      fc.property(noNull, noNull, (from, to) => {
        const patch = mergePatchOf(from, to);
        expect(patch === undefined).toBe(sameJson(from, to));
        expect(patch === undefined ? from : applyMergePatch(from, patch)).toEqual(to);
      }),
    );
  });
});

describe('statusPatch', () => {
  test('carries the changed parts, the conditions and the resourceVersion', () => {
    const write = statusPatch(machine(running({ desired: desired() })), { attempt: attempt('Testing') }, NOW);
    expect(write?.patch.metadata).toEqual({ resourceVersion: '7' });
    expect(Object.keys(write?.patch.status ?? {}).sort()).toEqual(['attempt', 'conditions']);
    expect(write?.next.status?.attempt?.phase).toBe('Testing');
  });

  test('the same again is no write', () => {
    const first = statusPatch(machine(running()), { desired: desired() }, NOW);
    if (first === undefined) throw new Error('nothing to write');
    const again = statusPatch(first.next, { desired: desired() }, new Date('2026-03-02T10:00:00Z'));
    expect(again).toBeUndefined();
  });

  test('fields that a new attempt lacks are removed', () => {
    const before = machine(
      running({ desired: desired(), attempt: attempt('Failed', { exitCode: 4, finishedAt: 'x' }) }),
    );
    const write = statusPatch(before, { attempt: attempt('Testing') }, NOW);
    expect(write?.patch.status['attempt']).toEqual({ phase: 'Testing', exitCode: null, finishedAt: null });
  });

  test('an undefined part is removed', () => {
    const before = machine(running({ waiting: { reason: 'NoRollout', message: 'm', since: 's' } }));
    const write = statusPatch(before, { waiting: undefined }, NOW);
    expect(write?.patch.status['waiting']).toBeNull();
    expect(write?.next.status).not.toHaveProperty('waiting');
  });

  test('writes in either order end the same, and what the API server makes of a patch is what was foreseen', () => {
    const changes = fc.constantFrom<StatusChanges>(
      { attempt: attempt('Committed'), ...onNew },
      { connection: OFFLINE },
      { desired: desired({ go: false }) },
      { attempt: attempt('RolledBack', { exitCode: 4 }), failedUnits: ['a.service'] },
      { waiting: undefined },
    );
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 6 }), (list) => {
        let current = machine(running({ waiting: { reason: 'NoRollout', message: 'm', since: 's' } }));
        for (const change of list) {
          const write = statusPatch(current, change, NOW);
          if (write === undefined) continue;
          const served = applyMergePatch(current.status ?? {}, write.patch.status) as NixMachineStatus;
          expect(served).toEqual(write.next.status);
          current = write.next;
        }
      }),
    );
  });
});
