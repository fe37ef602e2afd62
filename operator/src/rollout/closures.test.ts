// Closures out of ControllerRevisions.
import type { ControllerRevision, RevisionRecord } from '@floe/crds/revision-record';
import { expect, test } from 'vitest';
import { closuresOf } from './closures.ts';

const path = (name: string) => `/nix/store/00000000000000000000000000000000-${name}`;

function record(data: Partial<RevisionRecord>, number = 1, config = 'web'): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: `${config}-${number}-${data.part ?? 0}`, namespace: 'shop' },
    revision: number,
    data: {
      config,
      revision: 'r2',
      source: 'main',
      builtAt: '2026-03-01T12:00:00Z',
      part: 0,
      parts: 1,
      job: 'job',
      machines: {},
      failures: {},
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
      ...data,
    },
  };
}

const failure = { stage: 'Build' as const, message: 'no such option' };

test('without a record: the plan counts everyone as built, the operator nobody', () => {
  expect(closuresOf([], 'web', 'built').of('r2', 'm1')).toEqual({ kind: 'closure', closure: 'r2/m1' });
  expect(closuresOf([], 'web', 'built').knows('r2')).toBe(true);
  expect(closuresOf([], 'web', 'unknown').of('r2', 'm1')).toEqual({ kind: 'none' });
  expect(closuresOf([], 'web', 'unknown').knows('r2')).toBe(false);
});

test.each(['built', 'unknown'] as const)('with records: what they say, of this config only (%s)', (without) => {
  const closures = closuresOf(
    [
      record({ machines: { m1: path('a'), m2: path('b') }, failures: { m3: failure } }),
      record({ machines: { m2: path('c') }, job: 'later' }, 2),
      record({ machines: { m1: path('x') } }, 9, 'other'),
    ],
    'web',
    without,
  );
  expect(closures.knows('r2')).toBe(true);
  expect(closures.of('r2', 'm1')).toEqual({ kind: 'closure', closure: path('a') });
  expect(closures.of('r2', 'm2')).toEqual({ kind: 'closure', closure: path('c') });
  expect(closures.of('r2', 'm3')).toEqual({ kind: 'failure', message: 'no such option' });
  expect(closures.of('r2', 'm4')).toEqual({ kind: 'none' });
});

test.each(['built', 'unknown'] as const)('a build of which a part is missing is not known yet (%s)', (without) => {
  const part = record({ machines: { m1: path('a') }, parts: 2 });
  expect(closuresOf([part], 'web', without).knows('r2')).toBe(false);
  const whole = closuresOf([part, record({ machines: { m2: path('b') }, part: 1, parts: 2 })], 'web', without);
  expect([whole.knows('r2'), whole.of('r2', 'm2').kind]).toEqual([true, 'closure']);
});
