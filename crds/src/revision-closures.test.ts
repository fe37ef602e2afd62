import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { revisionClosures } from './revision-closures.ts';
import type { ControllerRevision, RevisionRecord } from './revision-record.ts';

function record(name: string, revision: number, data: Partial<RevisionRecord>): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name, namespace: 'ns' },
    revision,
    data: {
      config: 'web',
      revision: 'r',
      source: 'main@91ffe02',
      builtAt: '2026-01-01T00:00:00Z',
      part: 0,
      parts: 1,
      job: name,
      machines: {},
      failures: {},
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
      ...data,
    },
  };
}

const failure = { stage: 'Evaluation', message: 'no' } as const;

describe('revisionClosures', () => {
  test('a newer build wins, failures too', () => {
    const found = revisionClosures([
      record('b', 2, { machines: { m1: '/b' }, failures: { m2: failure } }),
      record('a', 1, { machines: { m1: '/a', m2: '/a' } }),
    ]);
    expect(found.of('m1')).toMatchObject({ kind: 'closure', closure: '/b' });
    expect(found.of('m2')).toMatchObject({ kind: 'failure', message: 'no' });
    expect(found.of('m3')).toEqual({ kind: 'none' });
    expect(found.main?.job).toBe('a');
  });

  test('a build counts only when all its parts are there', () => {
    const parts = [
      record('a-0', 1, { job: 'a', part: 0, parts: 2, machines: { m1: '/a' } }),
      record('a-1', 1, { job: 'a', part: 1, parts: 2, machines: { m2: '/b' } }),
    ];
    expect(revisionClosures(parts.slice(0, 1)).of('m1')).toEqual({ kind: 'none' });
    expect(revisionClosures(parts).of('m1')).toMatchObject({ closure: '/a' });
    expect(revisionClosures(parts).closures).toBe(2);
  });

  test('the default is for whoever is not named', () => {
    const found = revisionClosures([record('a', 1, { default: '/d', machines: { odd: '/o' } })]);
    expect(found.of('anyone')).toMatchObject({ closure: '/d' });
    expect(found.of('odd')).toMatchObject({ closure: '/o' });
    expect(found.closures).toBe(2);
  });

  test('the order of the records never matters', () => {
    const builds = fc.array(
      fc.record({ number: fc.integer({ min: 1, max: 4 }), machine: fc.constantFrom('m1', 'm2'), closure: fc.string() }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(builds, fc.func(fc.integer()), (list, order) => {
        const records = list.map((b, i) => record(`j${i}`, b.number, { machines: { [b.machine]: b.closure } }));
        const shuffled = records.toSorted((a, b) => order(a.metadata.name) - order(b.metadata.name));
        for (const m of ['m1', 'm2']) expect(revisionClosures(shuffled).of(m)).toEqual(revisionClosures(records).of(m));
        expect(revisionClosures(shuffled).main).toEqual(revisionClosures(records).main);
      }),
    );
  });
});
