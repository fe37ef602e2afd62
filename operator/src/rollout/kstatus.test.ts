// What Flux and `kubectl wait` make of a Rollout: in progress while it runs or waits, failed once stalled, current when done.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout, RolloutStatus } from '@floe/crds/rollout';
import { describe, expect, test } from 'vitest';
import { type Kstatus, kstatusOf } from '../conditions/kstatus.fixture.ts';
import {
  at,
  batch,
  config,
  failed,
  fleet,
  MINUTE,
  machine,
  off,
  pause,
  planScene,
  R1,
  R2,
  R3,
  rollout,
  running,
  runs,
  type Scene,
  sick,
  told,
  took,
} from './rollout.fixture.ts';

const steps = [batch(1), pause()];
const night = [{ cron: '0 22 * * *', duration: '2h' }];
const freezes = [{ from: at(-MINUTE), to: at(MINUTE), reason: 'sale' }];
const prometheus = { address: 'http://prometheus:9090', query: 'up' };
/** m1 has R2, m2 to m4 have R1. */
const canaried = [machine('m1', took('m1', R2, 0)), ...fleet(4).slice(1)];
const taken = ['m1', 'm2', 'm3'].map((name) => machine(name, took(name, R2, 0)));
const bad = [machine('m1', failed('m1', R2, 0)), ...fleet(4).slice(1)];
const atPause = running({ step: { index: 1, total: 3, startedAt: at(0) } });
const stopped = (reason: 'Failed' | 'Aborted' | 'RolledBack', message = 'm1 failed'): RolloutStatus =>
  running({ phase: 'Failed', stopped: { reason, message, at: at(0) } });
const asking = (target: NixMachine): NixMachine => ({
  ...target,
  spec: { ...target.spec, activation: { consent: 'Ask' } },
});
const db = (status: RolloutStatus, dependsOn: { name: string }[] = []): Rollout => {
  const made = rollout({ selector: { matchLabels: { role: 'db' } }, dependsOn }, status, { name: 'db', uid: 'u-db' });
  return made;
};

test.each<[string, Scene, Kstatus]>([
  ['nothing is built yet', { machines: fleet(3), revision: undefined }, 'InProgress'],
  ['there is no such config', { machines: fleet(3), snapshot: { config: undefined } }, 'InProgress'],
  [
    'there is no such config any more, after a completed run',
    {
      machines: taken,
      status: running({ phase: 'Completed', step: { index: 1, total: 1 } }),
      snapshot: { config: undefined },
    },
    'InProgress',
  ],
  ['it begins', { machines: fleet(3) }, 'InProgress'],
  [
    'a machine is being switched',
    { machines: [machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, {}) })], status: running() },
    'InProgress',
  ],
  [
    'the batch soaks',
    { spec: { steps: [batch(1, { soak: '5m' })] }, machines: canaried, status: running() },
    'InProgress',
  ],
  ['a pause for a person', { spec: { steps }, machines: canaried, status: atPause }, 'InProgress'],
  [
    'a pause with an end',
    { spec: { steps: [batch(1), pause('1h')] }, machines: canaried, status: atPause },
    'InProgress',
  ],
  ['the window is closed', { spec: { windows: night }, machines: fleet(3), status: running() }, 'InProgress'],
  ['a freeze', { spec: { freezes }, machines: fleet(3), status: running() }, 'InProgress'],
  ['suspended', { spec: { suspend: true }, machines: fleet(3), status: running() }, 'InProgress'],
  [
    'suspended after the end',
    { spec: { suspend: true }, machines: taken, status: running({ phase: 'Completed', step: { index: 1, total: 1 } }) },
    'Current',
  ],
  ['the user is asked', { machines: [asking(fleet(1)[0] as NixMachine)], status: running() }, 'InProgress'],
  ['a machine is off', { machines: [machine('m1', { ...runs('m1', R1), ...off() })], status: running() }, 'InProgress'],
  [
    'a machine is on hold',
    { machines: [machine('m1', runs('m1', R1), { hold: { reason: 'disk swap' } })], status: running() },
    'InProgress',
  ],
  [
    'the budget is full',
    { machines: [machine('m1', { ...runs('m1', R1), ...sick() }), ...fleet(3).slice(1)], status: running() },
    'InProgress',
  ],
  [
    'a canary that matches nobody',
    { spec: { steps: [batch(1, { selector: { matchLabels: { role: 'none' } } })] }, machines: fleet(3) },
    'InProgress',
  ],
  [
    'another Rollout goes first',
    { spec: { dependsOn: [{ name: 'db' }] }, machines: fleet(3), others: [db({ phase: 'Progressing', revision: R2 })] },
    'InProgress',
  ],
  [
    'the one that goes first has failed',
    { spec: { dependsOn: [{ name: 'db' }] }, machines: fleet(3), others: [db({ phase: 'Failed', revision: R2 })] },
    'InProgress',
  ],
  ['the one that goes first is not there', { spec: { dependsOn: [{ name: 'db' }] }, machines: fleet(3) }, 'InProgress'],
  [
    'it waits for itself in a circle',
    { spec: { dependsOn: [{ name: 'db' }] }, machines: fleet(3), others: [db({}, [{ name: 'web' }])] },
    'Failed',
  ],
  [
    'an analysis runs',
    { spec: { steps: [batch(1), { analysis: { prometheus, count: 2 } }] }, machines: canaried, status: atPause },
    'InProgress',
  ],
  [
    'it rolls back',
    {
      spec: { onFailure: 'Rollback', steps },
      machines: [machine('m1', failed('m1', R2, 0)), machine('m2', took('m2', R2, 0)), ...fleet(4).slice(2)],
      status: running({ rollback: { to: R1, startedAt: at(0) } }),
    },
    'InProgress',
  ],
  ['the canary failed', { spec: { steps }, machines: bad, status: running() }, 'Failed'],
  ['stopped for a failure', { machines: bad, status: stopped('Failed') }, 'Failed'],
  ['aborted', { machines: canaried, status: stopped('Aborted', 'aborted') }, 'Failed'],
  [
    'aborted while a machine is in hand',
    {
      machines: [machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, {}) })],
      status: stopped('Aborted', 'aborted'),
    },
    'Failed',
  ],
  ['rolled back', { machines: fleet(3), status: stopped('RolledBack', 'rolled back') }, 'Failed'],
  ['failed, and a newer revision is built', { machines: bad, status: stopped('Failed'), revision: R3 }, 'InProgress'],
  [
    'failed, and retried',
    { machines: bad, status: stopped('Failed'), annotations: { 'floe.dev/retry': '1' } },
    'InProgress',
  ],
  ['everyone has it', { machines: taken, status: running() }, 'Current'],
  ['nobody is selected', { spec: { selector: { matchLabels: { role: 'none' } } }, machines: fleet(3) }, 'Current'],
  [
    'complete without the one that was accepted',
    { spec: { successThreshold: 50 }, machines: [...taken, machine('m4', failed('m4', R2, 0))], status: running() },
    'Current',
  ],
  [
    'complete, and one is off that follows later',
    {
      spec: { offline: 'Skip' },
      machines: [...taken, machine('m4', { ...runs('m4', R1), ...off() })],
      status: running(),
    },
    'Current',
  ],
  ['a wrong spec', { spec: { steps: [{}] }, machines: fleet(3) }, 'Failed'],
  [
    'its machines move without it',
    { machines: fleet(3), snapshot: { config: config(R2, { delivery: 'Immediate' }) } },
    'Failed',
  ],
])('%s', (_, scene, wanted) => {
  const { spec, annotations } = scene;
  const { status } = planScene(scene);
  const seen = rollout(spec, status, annotations === undefined ? {} : { annotations });
  expect([kstatusOf(seen), status.phase, status.conditions?.find(({ type }) => type === 'Ready')?.message]).toEqual([
    wanted,
    expect.any(String),
    expect.any(String),
  ]);
});

test('an edit that nobody has looked at is in progress, whatever was before; so is an object that nobody has looked at', () => {
  const { status } = planScene({ machines: taken, status: running() });
  expect(kstatusOf(rollout({}, status))).toBe('Current');
  expect(kstatusOf(rollout({ steps }, status, { generation: 2 }))).toBe('InProgress');
  expect(kstatusOf(rollout({}, { observedGeneration: -1 }))).toBe('InProgress');
  expect(kstatusOf(rollout({}, status, { deletionTimestamp: at(0) }))).toBe('Terminating');
});

describe('a newer revision of its config', () => {
  const at0 = (status: object, generation = 2) => {
    const base = config(R2);
    return {
      config: {
        ...base,
        metadata: { ...base.metadata, generation },
        status: { ...base.status, observedGeneration: 2, ...status },
      },
    };
  };
  const building = { build: { phase: 'Building', revision: R3 } };
  const completed = {
    machines: [machine('m1', runs('m1', R2))],
    status: running({ phase: 'Completed', stableRevision: R2 }),
  };
  const stopped = {
    machines: [machine('m1', failed('m1', R2, MINUTE))],
    status: running({ phase: 'Failed', stopped: { reason: 'Failed', message: 'no', at: at(0) } }),
  };
  const current = { machines: completed.machines, status: { ...completed.status, phase: 'Completed' as const } };

  test.each([
    ['a completed run', completed, building, 2, 'InProgress'],
    ['a stopped run', stopped, building, 2, 'InProgress'],
    ['an edit of the config that nobody has looked at', current, {}, 3, 'InProgress'],
    ['the same revision, for a joiner', completed, { build: { phase: 'Building', revision: R2 } }, 2, 'Current'],
    ['a build that has ended', completed, { build: { phase: 'Built', revision: R2 } }, 2, 'Current'],
    ['a build that failed', stopped, { build: { phase: 'Failed', revision: R3 } }, 2, 'Failed'],
  ] as const)('%s', (_, scene, status, generation, wanted) => {
    const plan = planScene({
      ...scene,
      machines: [...scene.machines],
      snapshot: at0(status, generation),
      now: 2 * MINUTE,
    });
    expect(kstatusOf({ metadata: { name: 'web', generation: 1 }, status: plan.status })).toBe(wanted);
    // The old failure stays to be read.
    expect(plan.status.stopped).toEqual(scene.status.stopped);
  });
});
