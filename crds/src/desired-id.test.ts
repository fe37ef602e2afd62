import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { desiredId, desiredIdWithoutClosure, nextSequence, runId, SEQUENCE_LEEWAY_SECONDS } from './desired-id.ts';

describe('desiredId', () => {
  const base = { rollout: 'web', run: '1a2b3c4d', machine: 'web-01', retry: 0, closure: '/nix/store/a' };

  test('is stable and 16 hex digits', () => {
    expect(desiredId(base)).toBe(desiredId({ ...base }));
    expect(desiredId(base)).toMatch(/^[0-9a-f]{16}$/);
  });

  test.each([{ rollout: 'db' }, { run: 'x' }, { machine: 'web-02' }, { retry: 1 }, { closure: '/nix/store/b' }])(
    'differs with %o',
    (change) => {
      expect(desiredId({ ...base, ...change })).not.toBe(desiredId(base));
    },
  );

  test('is never one that was made without the closure', () => {
    expect(desiredIdWithoutClosure(base)).not.toBe(desiredId(base));
    // Orders that stand at an upgrade have such ids: they must be found again for ever.
    expect(desiredIdWithoutClosure(base)).toBe('b3baf3687ae976b7');
  });

  test('keeps its parts apart', () => {
    expect(desiredId({ ...base, rollout: 'a', run: 'bc' })).not.toBe(desiredId({ ...base, rollout: 'ab', run: 'c' }));
  });
});

test('runId prefers the uid and is 8 hex digits', () => {
  const at = '2026-01-01T00:00:00Z';
  expect(runId({ name: 'web', uid: 'u' }, 'r', at)).toMatch(/^[0-9a-f]{8}$/);
  expect(runId({ name: 'web', uid: 'u' }, 'r', at)).toBe(runId({ name: 'other', uid: 'u' }, 'r', at));
});

test('nextSequence always rises and is never behind the clock', () => {
  fc.assert(
    fc.property(fc.option(fc.nat(), { nil: undefined }), fc.nat(), fc.nat(4e12), (previous, accepted, now) => {
      const ordered = previous === undefined ? {} : { desired: { sequence: previous } };
      const next = nextSequence({ ...ordered, agent: { accepted } }, now);
      // An order from a clock that was far ahead, which the machine has not accepted, is passed over.
      if ((previous ?? 0) <= now / 1000 + SEQUENCE_LEEWAY_SECONDS) expect(next).toBeGreaterThan(previous ?? 0);
      expect(next).toBeGreaterThan(accepted);
      expect(next).toBeGreaterThanOrEqual(Math.floor(now / 1000));
    }),
  );
});

test.each([
  ['the clock was far ahead once, and the machine refused', { desired: { sequence: 4e9 } }, 1e9],
  ['the machine had accepted it', { desired: { sequence: 4e9 }, agent: { accepted: 4e9 } }, 4e9 + 1],
  ['the machine knows more than the cluster', { desired: { sequence: 5 }, agent: { accepted: 2e9 } }, 2e9 + 1],
  ['there is no higher one', { agent: { accepted: Number.MAX_SAFE_INTEGER } }, 1e9],
])('nextSequence where %s', (_, known, next) => {
  expect(nextSequence(known, 1e12)).toBe(next);
});
