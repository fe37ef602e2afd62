import fc from 'fast-check';
import { expect, test } from 'vitest';
import { config, NOW } from './config.fixture.ts';
import { decideLook } from './look.ts';
import { sourceKey } from './revision-id.ts';
import type { SourceView } from './snapshot.ts';

const git = config({ source: { git: { url: 'https://git.example/x' } }, interval: '5m' });
const problem = { reason: 'SourceFailed', message: 'away', transient: true };

function view(secondsAgo: number, more: Partial<SourceView> = {}): SourceView {
  return {
    looking: false,
    failures: 0,
    key: sourceKey(git.spec),
    generation: 1,
    at: NOW.getTime() - secondsAgo * 1000,
    ...more,
  };
}

test.each<[string, SourceView, string | undefined, boolean]>([
  ['never looked', { looking: false, failures: 0 }, undefined, true],
  ['another source', view(1, { key: 'other' }), undefined, true],
  ['another spec', view(1, { generation: 0 }), undefined, true],
  ['an order', view(1), 'now', true],
  ['an order that was looked at', view(1, { order: 'now' }), 'now', false],
  ['a look is under way', view(1000, { looking: true }), 'now', false],
  ['before the interval', view(200), undefined, false],
  ['after the interval', view(331), undefined, true],
  ['after a failure', view(6, { problem, failures: 1 }), undefined, true],
  ['after many failures', view(200, { problem, failures: 9 }), undefined, false],
  ['after one that stays', view(60, { problem: { ...problem, transient: false }, failures: 1 }), undefined, false],
])('%s', (_, of, order, look) => {
  expect(decideLook(git, of, order, NOW).look).toBe(look);
});

test('inline files are never looked at for the clock alone', () => {
  const inline = config();
  const known = { looking: false, failures: 0, generation: 1, key: sourceKey(inline.spec), at: 0 };
  expect(decideLook(inline, known, undefined, NOW)).toEqual({ look: false, afterSeconds: undefined });
});

test('it is always due at some time, within a tenth of the interval', () => {
  fc.assert(
    fc.property(fc.integer({ min: -10_000, max: 10_000 }), fc.nat(20), (secondsAgo, failures) => {
      const { look, afterSeconds } = decideLook(
        git,
        view(secondsAgo, failures > 0 ? { problem, failures } : {}),
        undefined,
        NOW,
      );
      expect(look).toBe(afterSeconds === undefined);
      if (afterSeconds !== undefined) {
        expect(afterSeconds).toBeGreaterThan(0);
        expect(afterSeconds).toBeLessThanOrEqual(330);
      }
    }),
  );
});
