// Soaks of machines that run the closure already, whoever ordered it.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec } from '@floe/crds/rollout';
import { describe, expect, test } from 'vitest';
import {
  at,
  batch,
  closure,
  failed,
  fleet,
  MINUTE,
  machine,
  namesIn,
  off,
  planScene,
  R1,
  R2,
  R3,
  reasons,
  running,
  runs,
  type Scene,
  sick,
} from './rollout.fixture.ts';

/** All revisions have the same closures; `m1` is the canary. */
const closures = {
  knows: () => true,
  of: (_: string, name: string) => ({ kind: 'closure' as const, closure: closure(R2, name) }),
};
const labels = { role: 'canary' };
const canary = (more: NixMachine['status'] = {}): NixMachine =>
  machine(
    'm1',
    { ...runs('m1', R2), current: { closure: closure(R2, 'm1'), revision: R2, since: at(0) }, ...more },
    { labels },
  );
const others = fleet(3).slice(1);
const steps = (soak: string): Partial<RolloutSpec> => ({
  steps: [batch(undefined, { selector: { matchLabels: labels }, soak }), batch('100%')],
  maxUnavailable: '100%',
});
/** A run of R3 that began half a minute after the canary began to run what R2 and R3 have in common. */
const status = running({
  revision: R3,
  startedAt: at(MINUTE / 2),
  step: { index: 0, total: 2, startedAt: at(MINUTE / 2) },
});
const planned = (scene: Scene) => planScene({ status, revision: R3, snapshot: { closures }, ...scene });

describe('a machine that ran the closure before the run', () => {
  test('soaks on from when it began, and the next batch waits', () => {
    const plan = planned({ spec: steps('10m'), machines: [canary(), ...others], now: 9 * MINUTE });
    expect([plan.dispatch, plan.counts.updated, reasons(plan)['m1']]).toEqual([[], 0, 'InProgress']);
    expect(plan.nextCheck).toBe(at(10 * MINUTE));
    const after = planned({ spec: steps('10m'), machines: [canary(), ...others], now: 10 * MINUTE });
    expect(namesIn(after.dispatch)).toEqual(['m2', 'm3']);
  });

  test.each([
    ['turns sick', sick(5 * MINUTE), 'hello.service failed while it soaked'],
    ['goes off', off(5 * MINUTE), 'went offline while it soaked'],
  ])('fails where it %s in that time', (_, more, message) => {
    const plan = planned({ spec: steps('10m'), machines: [canary(more), ...others], now: 6 * MINUTE });
    expect([plan.phase, plan.dispatch, plan.status.failures?.[0]?.message]).toEqual(['Failed', [], message]);
    // It stays so when it is well again, until a person asks to retry.
    const well = planned({
      spec: steps('10m'),
      machines: [canary(), ...others],
      status: plan.status,
      now: 20 * MINUTE,
    });
    expect([well.phase, well.counts.failed]).toEqual(['Failed', 1]);
    const annotations = { 'floe.dev/retry': 'now' };
    const again = planned({
      spec: steps('10m'),
      machines: [canary(), ...others],
      status: plan.status,
      annotations,
      now: 20 * MINUTE,
    });
    expect([again.phase, again.dispatch.map(({ machine: name, reason }) => [name, reason])]).toEqual([
      'Progressing',
      [['m1', 'Retry']],
    ]);
  });

  test('what it became later is no failure of its soak', () => {
    const plan = planned({ spec: steps('10m'), machines: [canary(sick(11 * MINUTE)), ...others], now: 12 * MINUTE });
    expect([plan.phase, namesIn(plan.dispatch)]).toEqual(['Progressing', ['m2', 'm3']]);
  });

  test('counts in a share, and takes the place of nobody in a count', () => {
    const all = [canary(), ...fleet(10).slice(1)];
    const of = (size: number | string) =>
      planned({
        spec: { steps: [batch(size, { soak: '10m' }), batch('100%')], maxUnavailable: '100%' },
        machines: all,
        now: MINUTE,
      });
    expect(of('10%').dispatch).toEqual([]);
    expect(of(1).dispatch).toHaveLength(1);
  });

  test('is counted with its batch once it has soaked', () => {
    const [m2, m3] = ['m2', 'm3'].map((name) =>
      canary({ ...runs(name, R2), current: { closure: closure(R2, name), revision: R2, since: at(0) } }),
    ) as [NixMachine, NixMachine];
    const named = (of: NixMachine, name: string): NixMachine => ({ ...of, metadata: { ...of.metadata, name } });
    const bad = named(
      canary({ ...sick(MINUTE), current: { closure: closure(R2, 'm4'), revision: R2, since: at(0) } }),
      'm4',
    );
    const machines = [canary(), named(m2, 'm2'), named(m3, 'm3'), bad];
    for (const now of [2 * MINUTE, 11 * MINUTE]) {
      expect(planned({ spec: { ...steps('10m'), successThreshold: 75 }, machines, now }).phase).not.toBe('Failed');
      expect(planned({ spec: { ...steps('10m'), successThreshold: 76 }, machines, now }).phase).toBe('Failed');
    }
  });

  test('soaks for the batch that it is of, and for no other', () => {
    const away = { ...canary(), metadata: { ...canary().metadata, labels: {} } };
    const plan = planned({ spec: steps('10m'), machines: [away, ...others], now: MINUTE });
    expect(plan.counts).toMatchObject({ updated: 1, updating: 0 });
  });
});

test('a change of the steps does not end a soak', () => {
  const told = {
    desired: {
      id: 'x',
      sequence: 1,
      revision: R3,
      closure: closure(R2, 'm1'),
      rollout: 'web',
      run: 'run1',
      reason: 'Rollout',
      go: true,
      since: at(MINUTE / 2),
    },
  };
  const machines = [
    canary({ ...told, attempt: { desiredId: 'x', to: closure(R2, 'm1'), phase: 'Committed', finishedAt: at(MINUTE) } }),
    ...others,
  ];
  const first = planned({ spec: steps('10m'), machines, now: 2 * MINUTE });
  const longer = planned({ spec: steps('20m'), machines, status: first.status, now: 11 * MINUTE });
  expect([longer.status.stepsHash === first.status.stepsHash, longer.dispatch]).toEqual([false, []]);
  const shorter = planned({ spec: steps('5m'), machines, status: first.status, now: 6 * MINUTE });
  expect(namesIn(shorter.dispatch)).toEqual(['m2', 'm3']);
});

test.each([
  [
    'the end of its attempt',
    { attempt: { desiredId: 'old', to: closure(R2, 'm1'), phase: 'Committed', finishedAt: at(MINUTE) } },
    ['InProgress'],
  ],
  [
    'an end that can not be true: it has soaked',
    { attempt: { desiredId: 'old', to: closure(R2, 'm1'), phase: 'Committed', finishedAt: at(9e9) } },
    [undefined],
  ],
  ['nothing: it has soaked', {}, [undefined]],
] as const)('where no hub saw the change, it counts from %s', (_, more, reason) => {
  const plan = planned({
    spec: steps('10m'),
    machines: [canary({ current: { closure: closure(R2, 'm1') }, ...more }), ...others],
    now: 2 * MINUTE,
  });
  expect([reasons(plan)['m1']]).toEqual(reason);
});

test('a soak that becomes longer from step to step is held by who was told before', () => {
  const spec = { steps: [batch(1, { soak: '1m' }), batch(1, { soak: '10m' }), batch('100%')], maxUnavailable: '100%' };
  const told = {
    desired: {
      id: 'x',
      sequence: 1,
      revision: R3,
      closure: closure(R2, 'm1'),
      rollout: 'web',
      run: 'run1',
      reason: 'Rollout',
      go: true,
      since: at(MINUTE / 2),
    },
  };
  const m1 = canary({
    ...told,
    attempt: { desiredId: 'x', to: closure(R2, 'm1'), phase: 'Committed', finishedAt: at(MINUTE / 2) },
  });
  const plan = planned({
    spec,
    machines: [m1, ...others],
    status: running({ revision: R3, step: { index: 0, total: 3, startedAt: at(0), size: 1, toldBefore: 0 } }),
    now: 2 * MINUTE,
  });
  expect([plan.step.index, plan.dispatch.length, plan.status.step]).toMatchObject([1, 1, { size: 1, toldBefore: 1 }]);
});

test('a machine that failed elsewhere is not soaked', () => {
  const plan = planned({
    spec: steps('10m'),
    machines: [machine('m1', failed('m1', R1, 0), { labels }), ...others],
    now: 2 * MINUTE,
  });
  expect(namesIn(plan.dispatch)).toEqual(['m1']);
});
