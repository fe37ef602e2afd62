// The planner and the clock: windows, freezes, urgent runs, time limits, what is said and when it looks again.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { describe, expect, test, vi } from 'vitest';
import type { Plan } from './plan-result.ts';
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
  pause,
  planScene,
  R1,
  R2,
  R3,
  reasons,
  running,
  runs,
  type Scene,
  sick,
  told,
  took,
} from './rollout.fixture.ts';
import { eventsBetween } from './rollout-events.ts';

const HOUR = 60 * MINUTE;
/** T0 is 12:00 UTC. From 14:00 to 16:00. */
const AFTERNOON = { cron: '0 14 * * *', duration: '2h' };
/** From 11:00 to 13:00. */
const NOON = { cron: '0 11 * * *', duration: '2h' };
const ALL: Partial<RolloutSpec> = { maxUnavailable: '100%' };

const fetched = (name: string, since: number): NixMachine =>
  machine(name, { ...runs(name, R1), ...told(name, R2, since, { phase: 'Fetched' }, { go: false, run: 'run1' }) });
const fetching = (name: string, since: number): NixMachine =>
  machine(name, { ...runs(name, R1), ...told(name, R2, since, { phase: 'Fetching' }, { go: false, run: 'run1' }) });
const going = (name: string, since: number, phase = 'Testing'): NixMachine =>
  machine(name, { ...runs(name, R1), ...told(name, R2, since, { phase }, { run: 'run1' }) });
const inZone = (target: NixMachine, timeZone: string): NixMachine => ({
  ...target,
  spec: { ...target.spec, timeZone },
});

const outline = (plan: Plan) => ({
  go: namesIn(plan.dispatch),
  fetch: namesIn(plan.fetch),
  hold: reasons(plan),
  next: plan.nextCheck,
});
const ready = (plan: Plan): string => plan.conditions.find(({ type }) => type === 'Ready')?.message ?? '';
const message = (plan: Plan, name: string): string | undefined => plan.hold.find((h) => h.machine === name)?.message;

describe('who is told what', () => {
  test.each<[string, Scene, ReturnType<typeof outline>]>([
    [
      'closed: fetch at once',
      { spec: { ...ALL, windows: [AFTERNOON] }, machines: fleet(2) },
      { go: [], fetch: ['m1', 'm2'], hold: {}, next: at(2 * HOUR) },
    ],
    [
      'closed, fetches',
      { spec: { ...ALL, windows: [AFTERNOON] }, status: running(), machines: [fetching('m1', 0)], now: MINUTE },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(2 * HOUR) },
    ],
    [
      'closed, fetched: waits for the window',
      { spec: { ...ALL, windows: [AFTERNOON] }, status: running(), machines: [fetched('m1', 0)], now: MINUTE },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      '1 ms before it opens',
      { spec: { ...ALL, windows: [AFTERNOON] }, status: running(), machines: [fetched('m1', 0)], now: 2 * HOUR - 1 },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      'closed, fetched by an earlier run: it is there already',
      {
        spec: { ...ALL, windows: [AFTERNOON] },
        machines: [
          machine('m1', {
            ...runs('m1', R1),
            ...told('m1', R2, -MINUTE, { phase: 'Fetched' }, { go: false, run: 'run0' }),
          }),
        ],
      },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      'it opens: go',
      { spec: { ...ALL, windows: [AFTERNOON] }, status: running(), machines: [fetched('m1', 0)], now: 2 * HOUR },
      { go: ['m1'], fetch: [], hold: {}, next: at(2.5 * HOUR) },
    ],
    [
      'open, the budget holds',
      {
        spec: { maxUnavailable: 1, windows: [NOON] },
        status: running(),
        machines: [fetched('m1', 0), fetched('m2', 0)],
      },
      { go: ['m2'], fetch: [], hold: { m1: 'BudgetFull' }, next: at(30 * MINUTE) },
    ],
    [
      'open: go in one write',
      { spec: { ...ALL, windows: [NOON] }, machines: fleet(1) },
      { go: ['m1'], fetch: [], hold: {}, next: at(30 * MINUTE) },
    ],
    [
      'open, but it fetches still',
      { spec: { ...ALL, windows: [NOON] }, status: running(), machines: [fetching('m1', 0)] },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(HOUR) },
    ],
    [
      'its end does not belong to it',
      { spec: { ...ALL, windows: [NOON] }, status: running(), machines: [fetched('m1', 0)], now: HOUR },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(23 * HOUR) },
    ],
    [
      'download closed: nothing',
      { spec: { ...ALL, windows: [{ ...AFTERNOON, actions: ['Download'] }] }, machines: fleet(1) },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      'download open: fetch first',
      { spec: { ...ALL, windows: [{ ...NOON, actions: ['Download'] }] }, machines: fleet(1) },
      { go: [], fetch: ['m1'], hold: {}, next: at(HOUR) },
    ],
    [
      'download closed again, fetched: the switch is free',
      {
        spec: { ...ALL, windows: [{ ...NOON, actions: ['Download'] }] },
        status: running(),
        machines: [fetched('m1', 0)],
        now: HOUR,
      },
      { go: ['m1'], fetch: [], hold: {}, next: at(HOUR + 30 * MINUTE) },
    ],
    [
      'download at noon, switch in the afternoon',
      {
        spec: {
          ...ALL,
          windows: [
            { ...NOON, actions: ['Download'] },
            { ...AFTERNOON, actions: ['Switch'] },
          ],
        },
        machines: fleet(1),
      },
      { go: [], fetch: ['m1'], hold: {}, next: at(HOUR) },
    ],
    [
      'a window for the reboot alone leaves both free',
      { spec: { ...ALL, windows: [{ ...AFTERNOON, actions: ['Reboot'] }] }, machines: fleet(1) },
      { go: ['m1'], fetch: [], hold: {}, next: at(30 * MINUTE) },
    ],
    [
      'in the zone of the machine',
      {
        spec: { ...ALL, windows: [{ ...AFTERNOON, timeZone: 'Machine' }] },
        status: running(),
        machines: [fetched('m1', 0), inZone(fetched('m2', 0), 'Europe/Athens'), inZone(fetched('m3', 0), 'Asia/Tokyo')],
      },
      { go: ['m2'], fetch: [], hold: { m1: 'OutsideWindow', m3: 'OutsideWindow' }, next: at(30 * MINUTE) },
    ],
    [
      'what concerns the machine alone is said first',
      {
        spec: { ...ALL, windows: [AFTERNOON] },
        machines: [
          machine('m1', { ...runs('m1', R1), ...off() }),
          machine('m2', runs('m2', R1), { hold: { reason: 'x' } }),
        ],
      },
      { go: [], fetch: [], hold: { m1: 'Offline', m2: 'MachineSuspended' }, next: null },
    ],
    [
      'a machine in the middle of its switch goes on',
      { spec: { ...ALL, windows: [NOON] }, status: running(), machines: [going('m1', 59 * MINUTE)], now: 2 * HOUR },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(23 * HOUR + 29 * MINUTE) },
    ],
    [
      'it has its go, but fetches still as the window ends: the go is taken back',
      {
        spec: { ...ALL, windows: [NOON], machineTimeout: '2h' },
        status: running(),
        machines: [going('m1', 0, 'Fetching'), going('m2', 0, 'Fetched')],
        now: HOUR,
      },
      { go: [], fetch: ['m1', 'm2'], hold: {}, next: at(23 * HOUR) },
    ],
    [
      'not where the run is urgent',
      {
        spec: { ...ALL, windows: [NOON], machineTimeout: '2h' },
        status: running({ urgent: { at: at(0) } }),
        machines: [going('m1', 0, 'Fetching')],
        now: HOUR,
      },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(2 * HOUR) },
    ],
    [
      'nor where nothing was heard of it yet',
      {
        spec: { ...ALL, windows: [NOON], machineTimeout: '2h' },
        status: running(),
        machines: [machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, undefined, { run: 'run1' }) })],
        now: HOUR,
      },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(23 * HOUR) },
    ],
    [
      'it had begun when its go was taken back: it finishes',
      {
        spec: { ...ALL, windows: [NOON], machineTimeout: '2h' },
        status: running(),
        machines: [
          machine('m1', {
            ...runs('m1', R1),
            ...told('m1', R2, HOUR, { phase: 'Testing' }, { go: false, run: 'run1' }),
          }),
        ],
        now: HOUR + MINUTE,
      },
      { go: [], fetch: [], hold: { m1: 'InProgress' }, next: at(25 * HOUR) },
    ],
    [
      'told again: in the window',
      {
        spec: { ...ALL, windows: [AFTERNOON] },
        status: running({ retry: { count: 1, at: at(2 * MINUTE) }, step: { index: 0, total: 1, startedAt: at(0) } }),
        machines: [machine('m1', failed('m1', R2, MINUTE))],
        now: 3 * MINUTE,
      },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      'after completion: joiners wait for the window, too',
      {
        spec: { ...ALL, windows: [AFTERNOON] },
        status: { ...running(), stableRevision: R2, phase: 'Completed' },
        machines: [fetched('m1', 0)],
        now: MINUTE,
      },
      { go: [], fetch: [], hold: { m1: 'OutsideWindow' }, next: at(2 * HOUR) },
    ],
    [
      'suspended comes first',
      { spec: { ...ALL, suspend: true, windows: [AFTERNOON] }, machines: fleet(1) },
      { go: [], fetch: [], hold: { m1: 'Suspended' }, next: at(2 * HOUR) },
    ],
    [
      'a freeze: nobody is told anything',
      {
        spec: { ...ALL, steps: [batch(1)], freezes: [{ from: at(-HOUR), to: at(HOUR), reason: 'holidays' }] },
        machines: fleet(2),
      },
      { go: [], fetch: [], hold: { m1: 'Frozen', m2: 'Frozen' }, next: at(HOUR) },
    ],
    [
      'its end does not belong to it',
      { spec: { ...ALL, freezes: [{ from: at(-HOUR), to: at(0), reason: 'holidays' }] }, machines: fleet(1) },
      { go: ['m1'], fetch: [], hold: {}, next: at(30 * MINUTE) },
    ],
    [
      'freezes that touch are one',
      {
        spec: {
          ...ALL,
          freezes: [
            { from: at(HOUR), to: at(3 * HOUR), reason: 'stocktaking' },
            { from: at(-HOUR), to: at(HOUR), reason: 'holidays' },
          ],
        },
        machines: fleet(1),
      },
      { go: [], fetch: [], hold: { m1: 'Frozen' }, next: at(3 * HOUR) },
    ],
    [
      'pauses run in a freeze',
      {
        spec: { ...ALL, steps: [pause('10m')], freezes: [{ from: at(-HOUR), to: at(HOUR), reason: 'holidays' }] },
        machines: fleet(1),
      },
      { go: [], fetch: [], hold: { m1: 'StepPaused' }, next: at(10 * MINUTE) },
    ],
  ])('%s', (_name, scene, wanted) => {
    expect(outline(planScene(scene))).toEqual(wanted);
  });

  test('the go keeps the order that was fetched', () => {
    const plan = planScene({
      spec: { windows: [AFTERNOON] },
      status: running(),
      machines: [fetched('m1', 0)],
      now: 2 * HOUR,
    });
    expect(plan.dispatch[0]?.id).toBe(fetched('m1', 0).status?.desired?.id);
  });

  test.each([
    ['onFailure', { onFailure: 'Rollback' as const }, {}],
    ['the verb', {}, { 'floe.dev/rollback': '1' }],
  ])('a rollback ignores windows and freezes: %s', (_name, more, annotations) => {
    const spec = { ...ALL, ...more, windows: [AFTERNOON], freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] };
    const machines = [machine('m1', failed('m1', R2, MINUTE)), machine('m2', took('m2', R2, MINUTE))];
    const plan = planScene({ spec, status: running(), machines, annotations, now: 2 * MINUTE });
    expect([plan.phase, namesIn(plan.rollback)]).toEqual(['RollingBack', ['m2']]);
  });

  test('back to the stable revision: the budget alone', () => {
    const spec = { ...ALL, windows: [AFTERNOON], freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] };
    const machines = [machine('m1', took('m1', R2, 0))];
    const plan = planScene({ spec, status: running(), machines, revision: R1, now: MINUTE });
    expect(namesIn(plan.dispatch)).toEqual(['m1']);
  });
});

test('a go that is taken back keeps its order', () => {
  const spec = { maxUnavailable: 1, windows: [NOON], machineTimeout: '2h' };
  const went = going('m1', 0, 'Fetching');
  const plan = planScene({ spec, status: running(), machines: [went], now: HOUR });
  expect(plan.fetch).toMatchObject([{ machine: 'm1', id: went.status?.desired?.id, reason: 'Rollout' }]);
});

describe('restarts have windows of their own', () => {
  const policy = (target: NixMachine): NixMachine => ({
    ...target,
    spec: { ...target.spec, activation: { reboot: 'WhenRequired' as const } },
  });
  const windows = [{ ...AFTERNOON, actions: ['Reboot' as const] }];
  const restarts = (plan: Plan) => plan.dispatch.map(({ reboot }) => reboot === true);

  test('the go says so only where it may restart now', () => {
    const machines = fleet(1).map(policy);
    expect(restarts(planScene({ spec: ALL, machines }))).toEqual([true]);
    expect(restarts(planScene({ spec: { ...ALL, windows }, machines }))).toEqual([false]);
    expect(restarts(planScene({ spec: { ...ALL, windows }, machines, now: 2 * HOUR }))).toEqual([true]);
  });

  test('who waits for the window keeps no batch open, and hears of it as it opens', () => {
    const attempt = { phase: 'RebootRequired', from: closure(R1, 'm1'), finishedAt: at(MINUTE) };
    const waits = machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, attempt, { run: 'run1' }) });
    const scene: Scene = { spec: { ...ALL, windows }, status: running(), machines: [policy(waits)] };
    const closed = planScene({ ...scene, now: 2 * MINUTE });
    expect([closed.phase, closed.counts.pendingReboot, closed.nextCheck]).toEqual(['Completed', 1, at(2 * HOUR)]);
    const open = planScene({ ...scene, status: closed.status, now: 2 * HOUR });
    expect(namesIn(open.reboot)).toEqual(['m1']);
  });
});

describe('machineTimeout runs while the machine may act', () => {
  const spec = { windows: [NOON], machineTimeout: '30m' };
  const phaseOf = (now: number, more: Partial<RolloutSpec> = {}, status: RolloutStatus = {}) =>
    planScene({ spec: { ...spec, ...more }, status: running(status), machines: [going('m1', 50 * MINUTE)], now }).phase;
  // Told 10 minutes before the end at 13:00; 20 minutes are left from 11:00 tomorrow on.
  test.each<[string, number, string, Partial<RolloutSpec>, RolloutStatus]>([
    ['not after 30 min', HOUR + 20 * MINUTE, 'Progressing', {}, {}],
    ['not all night', 23 * HOUR + 20 * MINUTE - 1, 'Progressing', {}, {}],
    ['in the next window', 23 * HOUR + 20 * MINUTE, 'Failed', {}, {}],
    [
      'a freeze in it does not count',
      23 * HOUR + 20 * MINUTE,
      'Progressing',
      { freezes: [{ from: at(23 * HOUR), to: at(23 * HOUR + 5 * MINUTE), reason: 'x' }] },
      {},
    ],
    [
      'nor does it count later',
      23 * HOUR + 25 * MINUTE,
      'Failed',
      { freezes: [{ from: at(23 * HOUR), to: at(23 * HOUR + 5 * MINUTE), reason: 'x' }] },
      {},
    ],
    ['an urgent run may act always', HOUR + 20 * MINUTE, 'Failed', {}, { urgent: { at: at(0) } }],
    ['urgent since the end of the window', 2 * HOUR + 20 * MINUTE, 'Failed', {}, { urgent: { at: at(2 * HOUR) } }],
    [
      'a window for downloads does not matter',
      HOUR + 20 * MINUTE,
      'Failed',
      { windows: [{ ...NOON, actions: ['Download'] }] },
      {},
    ],
  ])('%s', (_name, now, phase, more, status) => {
    expect(phaseOf(now, more, status)).toBe(phase);
  });

  test('a fetch has no time limit', () => {
    const plan = planScene({
      spec: { windows: [AFTERNOON] },
      status: running(),
      machines: [fetching('m1', 0)],
      now: 90 * MINUTE,
    });
    expect(outline(plan)).toMatchObject({ hold: { m1: 'InProgress' } });
  });
});

describe('urgent', () => {
  const closed = { ...ALL, windows: [AFTERNOON], freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] };
  const urgent = { 'floe.dev/urgent': '1', 'floe.dev/by': 'urgent 1 anna' };

  test('passes windows and freezes, and says who asked', () => {
    const plan = planScene({
      spec: closed,
      status: running(),
      machines: [fetched('m1', 0)],
      annotations: urgent,
      now: MINUTE,
    });
    expect(namesIn(plan.dispatch)).toEqual(['m1']);
    expect(plan.status).toMatchObject({ urgent: { at: at(MINUTE), by: 'anna' }, lastHandled: { urgent: '1' } });
  });

  test('is for the run that begins with it', () => {
    const first = planScene({ spec: closed, machines: fleet(1), annotations: urgent });
    expect(namesIn(first.dispatch)).toEqual(['m1']);
    const next = planScene({ spec: closed, status: running(), machines: fleet(1), annotations: urgent, revision: R3 });
    expect([namesIn(next.dispatch), next.status.urgent?.by]).toEqual([['m1'], 'anna']);
  });

  test('waits for the first run', () => {
    const plan = planScene({ spec: closed, machines: fleet(1), annotations: urgent, revision: undefined });
    expect(plan.status.lastHandled).toBeUndefined();
  });

  test('ends with the run', () => {
    const before: RolloutStatus = { ...running(), urgent: { at: at(0) }, lastHandled: { urgent: '1' } };
    const superseded = planScene({
      spec: closed,
      status: before,
      machines: fleet(1),
      annotations: urgent,
      revision: R3,
      now: MINUTE,
    });
    expect([superseded.status.urgent, reasons(superseded)]).toEqual([undefined, { m1: 'Frozen' }]);
    const completed = { ...before, stableRevision: R2, phase: 'Completed' as const };
    const joiner = planScene({ spec: closed, status: completed, machines: fleet(1), now: MINUTE });
    expect(reasons(joiner)).toEqual({ m1: 'Frozen' });
  });

  test('an old value does nothing', () => {
    const status = { ...running(), lastHandled: { urgent: '1' } };
    const plan = planScene({ spec: closed, status, machines: fleet(1), annotations: urgent, now: MINUTE });
    expect(reasons(plan)).toEqual({ m1: 'Frozen' });
  });

  test('a sick machine uses its slot, also as the first', () => {
    const spec = { steps: [batch(1), pause()], maxUnavailable: 1 };
    const machines = [machine('m1', { ...runs('m1', R1), ...sick() })];
    const well = [...machines, ...fleet(4).slice(1)];
    expect(namesIn(planScene({ spec, machines: well }).dispatch)).toEqual([]);
    const plan = planScene({ spec, machines: well, annotations: urgent });
    expect(plan.budget).toMatchObject({ limit: 1, free: 0 });
    expect(namesIn(plan.dispatch)).toEqual(['m1']);
  });

  test('asks no user', () => {
    const plain = fetched('m1', 0);
    const asks = { ...plain, spec: { ...plain.spec, activation: { consent: 'Ask' as const } } };
    const scene: Scene = { spec: ALL, status: running(), machines: [asks], now: MINUTE };
    expect(reasons(planScene(scene))).toEqual({ m1: 'WaitingForUser' });
    expect(namesIn(planScene({ ...scene, annotations: urgent }).dispatch)).toEqual(['m1']);
  });
});

describe('what is said', () => {
  test.each<[string, Partial<RolloutSpec>, string, string, string | undefined]>([
    [
      'in UTC',
      { windows: [AFTERNOON] },
      'window "0 14 * * *" opens 14:00 UTC',
      'batch of all: m1 waits for a window: "0 14 * * *" opens 14:00 UTC',
      at(2 * HOUR),
    ],
    [
      'in a zone',
      { windows: [{ cron: '0 22 * * *', duration: '4h', timeZone: 'Europe/Berlin' }] },
      'window "0 22 * * *" opens 22:00 Europe/Berlin (2026-03-01 21:00 UTC)',
      'batch of all: m1 waits for a window: "0 22 * * *" opens 22:00 Europe/Berlin (2026-03-01 21:00 UTC)',
      at(9 * HOUR),
    ],
    [
      'on another day',
      { windows: [{ cron: '0 4 * * 2', duration: '4h', timeZone: 'Europe/Berlin' }] },
      'window "0 4 * * 2" opens 2026-03-03 04:00 Europe/Berlin (2026-03-03 03:00 UTC)',
      'batch of all: m1 waits for a window: "0 4 * * 2" opens 2026-03-03 04:00 Europe/Berlin (2026-03-03 03:00 UTC)',
      at(39 * HOUR),
    ],
    [
      'when a freeze covers the opening',
      { windows: [AFTERNOON], freezes: [{ from: at(HOUR), to: at(3 * HOUR), reason: 'x' }] },
      'window "0 14 * * *" opens 15:00 UTC',
      'batch of all: m1 waits for a window: "0 14 * * *" opens 15:00 UTC',
      at(3 * HOUR),
    ],
    [
      'a freeze',
      { freezes: [{ from: at(0), to: at(36 * HOUR), reason: 'end of the year' }] },
      'frozen until 2026-03-03 00:00 UTC: end of the year',
      'batch of all: frozen until 2026-03-03 00:00 UTC: end of the year',
      at(36 * HOUR),
    ],
  ])('%s', (_name, spec, hold, sentence, change) => {
    const plan = planScene({ spec, status: running(), machines: [fetched('m1', 0)], now: MINUTE });
    expect([message(plan, 'm1'), ready(plan), plan.status.nextChange]).toEqual([hold, sentence, change]);
    expect(plan.phase).toBe('Progressing');
  });

  test('a zone that does not exist', () => {
    const spec = { windows: [{ ...AFTERNOON, timeZone: 'Machine' }] };
    const plan = planScene({ spec, status: running(), machines: [inZone(fetched('m1', 0), 'Moon/Base')], now: MINUTE });
    expect(message(plan, 'm1')).toBe('its spec.timeZone "Moon/Base" is no time zone, so no window opens; correct it');
  });

  test.each<[string, Partial<RolloutSpec>, string]>([
    [
      'cron',
      { windows: [{ cron: '0 25 * * *', duration: '1h' }] },
      'spec.windows[0].cron: "0 25 * * *": "25" is no hour; use numbers from 0 to 23',
    ],
    ['never', { windows: [{ cron: '0 0 30 2 *', duration: '1h' }] }, 'spec.windows[0].cron: "0 0 30 2 *" never comes'],
    [
      'zone',
      { windows: [{ ...NOON, timeZone: 'Berlin' }] },
      'spec.windows[0].timeZone: "Berlin" is no time zone; use a name of the IANA data base, "Europe/Berlin", or Machine',
    ],
    ['offset', { windows: [{ ...NOON, timeZone: '+02:00' }] }, 'spec.windows[0].timeZone: "+02:00" is no time zone'],
    ['duration', { windows: [{ ...NOON, duration: '0s' }] }, 'spec.windows[0].duration: "0s" is no time'],
    ['no duration', { windows: [{ ...NOON, duration: 'long' }] }, 'spec.windows[0].duration: does not match'],
    [
      'too long',
      { windows: [{ ...NOON, duration: '9000h' }] },
      'spec.windows[0].duration: "9000h" is longer than 366 days',
    ],
    ['freeze', { freezes: [{ from: at(1), to: at(0), reason: 'x' }] }, 'spec.freezes[0].to:'],
    ['freeze, no time', { freezes: [{ from: 'soon', to: at(0), reason: 'x' }] }, 'spec.freezes[0].from:'],
  ])('InvalidSpec: %s', (_name, spec, text) => {
    const plan = planScene({ spec, machines: fleet(1) });
    const stalled = plan.conditions.find(({ type }) => type === 'Stalled');
    expect(stalled).toMatchObject({ status: 'True', reason: 'InvalidSpec' });
    expect(stalled?.message).toContain(text);
  });
});

describe('durations', () => {
  const spec = { ...ALL, windows: [AFTERNOON] };
  const wait = { reason: 'OutsideWindow' as const, since: at(MINUTE), until: at(2 * HOUR) };

  test('the wait for a window is remembered as it begins', () => {
    const plan = planScene({ spec, status: running(), machines: [fetched('m1', 0)], now: MINUTE });
    expect(plan.status.waiting).toEqual(wait);
    const later = planScene({ spec, status: plan.status, machines: [fetched('m1', 0)], now: HOUR });
    expect(later.status).toEqual(plan.status);
  });

  test('and counts as paused when it ends, up to its foreseen end', () => {
    const status = { ...running(), waiting: wait };
    const plan = planScene({ spec, status, machines: [fetched('m1', 0)], now: 2 * HOUR + 5000 });
    expect([plan.status.waiting, plan.status.pausedSeconds]).toEqual([undefined, 119 * 60]);
  });

  test('one Event for each wait', () => {
    const waits = planScene({ spec, status: running(), machines: [fetched('m1', 0)], now: MINUTE }).status;
    const { waiting: _, ...before } = waits;
    const reasonsOf = (from: RolloutStatus) => eventsBetween(from, waits).map(({ reason }) => reason);
    expect([reasonsOf(before), reasonsOf(waits)]).toEqual([['OutsideWindow'], []]);
  });

  test.each<[string, Partial<RolloutSpec>, string]>([
    ['a freeze', { freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] }, 'Frozen'],
    ['suspension', { suspend: true }, 'Suspended'],
  ])('%s', (_name, more, reason) => {
    const plan = planScene({ spec: more, status: running(), machines: fleet(1), now: MINUTE });
    expect(plan.status.waiting).toMatchObject({ reason, since: at(MINUTE) });
  });

  test('a machine at work: the run does not wait', () => {
    const machines = [fetched('m1', 0), going('m2', 0)];
    const plan = planScene({ spec, status: running(), machines, now: MINUTE });
    expect(plan.status.waiting).toBeUndefined();
  });

  test('total = progressing + paused', () => {
    const status = { ...running(), pausedSeconds: 600, waiting: { ...wait, until: at(HOUR) } };
    const machines = [machine('m1', took('m1', R2, HOUR))];
    const [entry] = planScene({ spec, status, machines, now: 90 * MINUTE }).status.history ?? [];
    expect(entry).toMatchObject({
      totalSeconds: 5400,
      pausedSeconds: 600 + 59 * 60,
      progressingSeconds: 5400 - 600 - 59 * 60,
    });
  });

  test('the time until a person lets it go on counts as paused', () => {
    const stopped = { reason: 'Failed' as const, message: 'm1: x', at: at(10 * MINUTE) };
    const status: RolloutStatus = { ...running(), phase: 'Failed', stopped };
    const machines = [machine('m1', took('m1', R2, MINUTE))];
    const plan = planScene({ status, machines, annotations: { 'floe.dev/continue': '1' }, now: HOUR });
    expect(plan.status.history?.[0]).toMatchObject({
      totalSeconds: 3600,
      pausedSeconds: 3000,
      progressingSeconds: 600,
    });
  });

  test('a run that ends in a wait counts it', () => {
    const status = { ...running(), waiting: wait };
    const plan = planScene({ spec, status, machines: [fetched('m1', 0)], now: HOUR, revision: R3 });
    expect(plan.status.history?.[0]).toMatchObject({
      outcome: 'Superseded',
      totalSeconds: 3600,
      pausedSeconds: 59 * 60,
    });
  });
});

describe('progressDeadline', () => {
  const spec: Partial<RolloutSpec> = { progressDeadline: '10m', machineTimeout: '2h', maxUnavailable: 1 };
  const step = { step: { index: 0, total: 1, startedAt: at(0) } };
  test.each<[string, Scene, string]>([
    ['not yet', { machines: [going('m1', MINUTE)], now: 11 * MINUTE - 1 }, 'Progressing'],
    ['nothing since its go', { machines: [going('m1', MINUTE)], now: 11 * MINUTE }, 'Failed'],
    [
      'somebody else got further',
      { machines: [going('m1', 0), machine('m2', took('m2', R2, 5 * MINUTE))], now: 14 * MINUTE },
      'Progressing',
    ],
    [
      'nobody gets a slot',
      {
        machines: [machine('m1', { ...runs('m1', R1), ...sick() }), ...fleet(3).slice(1)].map((m) =>
          m.metadata.name === 'm1' ? { ...m, spec: { ...m.spec, hold: { reason: 'x' } } } : m,
        ),
        now: 10 * MINUTE,
      },
      'Failed',
    ],
    [
      'off: it could not',
      { machines: [machine('m1', { ...runs('m1', R1), ...off() })], now: 10 * HOUR },
      'Progressing',
    ],
    [
      'on hold: it could not',
      { machines: [machine('m1', runs('m1', R1), { hold: { reason: 'x' } })], now: 10 * HOUR },
      'Progressing',
    ],
    [
      'it came back just now',
      {
        spec: { suspend: false },
        machines: [machine('m1', { ...going('m1', 0).status, connection: { online: true, since: at(20 * MINUTE) } })],
        now: 25 * MINUTE,
      },
      'Progressing',
    ],
    ['suspended', { spec: { suspend: true }, machines: fleet(1), now: 10 * HOUR }, 'Paused'],
    [
      'soaking',
      {
        spec: { steps: [batch(undefined, { selector: {}, soak: '1h' })] },
        machines: [machine('m1', took('m1', R2, MINUTE))],
        now: 40 * MINUTE,
      },
      'Progressing',
    ],
    [
      'the window is closed',
      { spec: { windows: [AFTERNOON] }, machines: [fetched('m1', 0)], now: 2 * HOUR - 1 },
      'Progressing',
    ],
    [
      'at work beyond the window',
      { spec: { windows: [NOON] }, machines: [going('m1', 55 * MINUTE)], now: 2 * HOUR },
      'Progressing',
    ],
    [
      'and into the next',
      { spec: { windows: [NOON] }, machines: [going('m1', 55 * MINUTE)], now: 23 * HOUR + 5 * MINUTE },
      'Failed',
    ],
    [
      'a freeze',
      { spec: { freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] }, machines: [going('m1', 0)], now: 65 * MINUTE },
      'Progressing',
    ],
    [
      'after it',
      { spec: { freezes: [{ from: at(0), to: at(HOUR), reason: 'x' }] }, machines: [going('m1', 0)], now: 70 * MINUTE },
      'Failed',
    ],
    [
      'Rollback applies',
      {
        spec: { onFailure: 'Rollback' },
        machines: [going('m1', 0), machine('m2', took('m2', R2, 0))],
        now: 10 * MINUTE,
      },
      'RollingBack',
    ],
    [
      'none set',
      { spec: { progressDeadline: undefined } as never, machines: [going('m1', 0)], now: 100 * MINUTE },
      'Progressing',
    ],
  ])('%s', (_name, scene, phase) => {
    const given = { ...spec, ...scene.spec };
    expect(planScene({ ...scene, spec: given, status: running(scene.status ?? step) }).phase).toBe(phase);
  });

  test('it says so, and looks again in time', () => {
    const scene: Scene = { spec, status: running(step), machines: [going('m1', MINUTE)] };
    expect(planScene({ ...scene, now: 2 * MINUTE }).nextCheck).toBe(at(11 * MINUTE));
    expect(ready(planScene({ ...scene, now: 11 * MINUTE }))).toBe(
      'no machine got further for 10 min (spec.progressDeadline): m1 is Testing',
    );
  });

  test('nobody could, then somebody can: the clock starts anew', () => {
    const offline = [machine('m1', { ...runs('m1', R1), ...off() })];
    const idle = planScene({ spec, status: running(step), machines: offline, now: HOUR });
    expect(idle.status.progress).toEqual({ idle: true });
    const held = { ...spec, suspend: true };
    const suspended = planScene({ spec: held, status: running(step), machines: [fetched('m1', 0)], now: HOUR });
    const now = 90 * MINUTE;
    const again = planScene({ spec, status: suspended.status, machines: [going('m1', 0)], now });
    expect([suspended.status.progress, again.phase, again.status.progress]).toEqual([
      { idle: true },
      'Progressing',
      { since: at(now) },
    ]);
    const later = planScene({ spec, status: again.status, machines: [going('m1', 0)], now: now + 10 * MINUTE });
    expect([again.nextCheck, later.phase]).toEqual([at(now + 10 * MINUTE), 'Failed']);
  });

  test('who lets it go on gives it its time anew', () => {
    const scene: Scene = { spec, status: running(step), machines: [going('m1', MINUTE)], now: 11 * MINUTE };
    const stopped = planScene(scene);
    const on = planScene({ ...scene, status: stopped.status, annotations: { 'floe.dev/continue': '1' }, now: HOUR });
    expect([on.phase, on.nextCheck]).toEqual(['Progressing', at(HOUR + 10 * MINUTE)]);
  });
});

test('a fleet in many zones asks its clocks as often as it has zones', () => {
  const zones = ['Europe/Berlin', 'Asia/Tokyo', 'America/New_York', 'Europe/Athens'];
  const spec = { ...ALL, windows: [{ ...AFTERNOON, timeZone: 'Machine' }], progressDeadline: '1h' };
  const asked = vi.spyOn(Intl.DateTimeFormat.prototype, 'formatToParts');
  const planOf = (count: number) => {
    asked.mockClear();
    const machines = Array.from({ length: count }, (_, i) => inZone(fetched(`m${i}`, 0), zones[i % 4] ?? 'UTC'));
    const plan = planScene({ spec, status: running(), machines, now: MINUTE });
    return { calls: asked.mock.calls.length, texts: new Set(plan.hold.map(({ message: text }) => text)).size };
  };
  planOf(4);
  const few = planOf(4);
  expect(few.texts).toBe(3);
  expect(planOf(400)).toEqual(few);
  asked.mockRestore();
});
