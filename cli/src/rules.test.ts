// The rollout rules, one by one, as somebody outside sees them through `floe plan`: what is printed, and what follows from writing it down.
import { describe, expect, test } from 'vitest';
import { names, reasons, World } from './plan-world.fixture.ts';

const ALL = { maxUnavailable: '100%' };
const batch = (size: number | string, more: object = {}) => ({ batch: { size, ...more } });
const role = (value: string) => ({ matchLabels: { role: value } });
const condition = ({ conditions }: { conditions: readonly { type: string; status: string }[] }, type: string) =>
  conditions.find((one) => one.type === type)?.status;

describe('percent and count', () => {
  test.each<[string, number, number]>([
    ['10%', 4, 1],
    ['10%', 14, 1],
    ['10%', 15, 2],
    ['30%', 5, 2],
    ['50%', 3, 2],
    ['1%', 100, 1],
    ['99%', 4, 3],
    ['99%', 2, 1],
    ['99%', 1, 1],
    ['100%', 4, 4],
  ])('%s of %i: nearest, half up, at least one, below 100 %% leaves one: %i', async (size, machines, expected) => {
    const world = await World.settled({ machines, spec: { ...ALL, steps: [batch(size), { pause: {} }] } });
    expect((await world.plan()).dispatch).toHaveLength(expected);
  });

  test('a percentage counts those that have it, a count is that many more; the rest is one last batch', async () => {
    const world = await World.settled({
      machines: 10,
      spec: { ...ALL, steps: [batch('20%'), batch('50%'), batch(2)] },
    });
    const told = await world.course();
    expect(told.map((one) => one.length)).toEqual([2, 3, 2, 3]);
    expect((await world.plan()).step.total).toBe(4);
  });

  test('a percentage is of the machines that match the selector of the batch', async () => {
    const labels = (i: number) => ({ role: i < 4 ? 'web' : 'db' });
    const steps = [batch('50%', { selector: role('web') }), { pause: {} }];
    const world = await World.settled({ machines: 10, labels, spec: { ...ALL, steps } });
    const { dispatch } = await world.plan();
    expect(dispatch).toHaveLength(2);
    expect(names(dispatch).every((name) => ['m1', 'm2', 'm3', 'm4'].includes(name))).toBe(true);
  });

  test('no steps: one batch of all', async () => {
    const world = await World.settled({ spec: ALL });
    const { step, dispatch } = await world.plan();
    expect([step, dispatch.length]).toEqual([{ index: 0, total: 1 }, 4]);
  });
});

test('order: a zone is done before the next begins, and the order of the input never matters', async () => {
  const labels = (i: number) => ({ 'topology.kubernetes.io/zone': ['b', 'a'][i % 2] ?? '' });
  const world = await World.settled({ machines: 6, labels, spec: { maxUnavailable: 1 } });
  const before = world.status;
  const first = await world.plan();
  world.status = before;
  world.machines.reverse();
  expect(await world.plan()).toEqual(first);
  const told = (await world.course()).flat();
  expect(told.slice(0, 3).sort()).toEqual(['m2', 'm4', 'm6']);
});

describe('budget', () => {
  test.each([
    [undefined, 9, 1],
    [undefined, 19, 1],
    [undefined, 20, 2],
    ['1%', 4, 1],
    [3, 4, 3],
  ])('maxUnavailable %s of %i is %i, rounded down, at least 1', async (maxUnavailable, machines, limit) => {
    const world = await World.settled({ machines, spec: maxUnavailable === undefined ? {} : { maxUnavailable } });
    const plan = await world.plan();
    expect([plan.budget, plan.dispatch.length]).toEqual([{ limit, unavailable: 0, free: limit }, limit]);
    expect(reasons(plan)).toEqual(['BudgetFull']);
  });

  test('whoever got its go keeps its slot, also when it is not heard of since', async () => {
    const world = await World.settled({ spec: { maxUnavailable: 1 } });
    const [name = ''] = names((await world.tell()).dispatch);
    world.wait(60);
    world.connect(name, false);
    world.wait(600);
    expect(await world.plan()).toMatchObject({ dispatch: [], budget: { free: 0, unavailable: 1 } });
    world.connect(name, true);
    world.end();
    expect((await world.plan()).dispatch).toHaveLength(1);
  });

  test('a machine that was off before its go takes no slot, but it does in budgets', async () => {
    const world = await World.settled({ spec: { maxUnavailable: 1, offline: 'Wait' } });
    world.connect('m1', false);
    expect(await world.plan()).toMatchObject({ budget: { unavailable: 0, free: 1 }, dispatch: [{}] });
    world.spec = { ...ALL, budgets: [{ maxUnavailable: 2 }] };
    const plan = await world.plan();
    expect(plan.dispatch).toHaveLength(1);
    expect(reasons(plan)).toEqual(['GroupBudgetFull', 'Offline']);
  });

  test('a broken machine is no canary; a fix reaches it in its own slot after the canary, or first as urgent', async () => {
    const sick = async () => {
      const world = await World.settled({ spec: { maxUnavailable: 2, steps: [batch(1)] } });
      world.health('m1', false);
      world.wait(60);
      return world;
    };
    const world = await sick();
    expect(names((await world.tell()).dispatch)).not.toContain('m1');
    world.end();
    expect((await world.course()).flat()).toContain('m1');
    const hurry = await sick();
    hurry.verb('urgent');
    hurry.spec = { maxUnavailable: 1, steps: [batch(1)] };
    expect(names((await hurry.tell()).dispatch)).toEqual(['m1']);
  });

  test('budgets bind every Rollout of the namespace, by group of a label too', async () => {
    const labels = (i: number) => ({ service: i < 2 ? 'a' : 'b' });
    const world = await World.settled({ labels, spec: ALL });
    const metadata = { name: 'db', namespace: 'shop', creationTimestamp: '2026-02-01T00:00:00Z' };
    const spec = {
      configRef: { name: 'web' },
      selector: role('none'),
      budgets: [{ groupBy: 'service', maxUnavailable: 1 }],
    };
    world.others = [{ apiVersion: 'floe.dev/v1alpha1', kind: 'Rollout', metadata, spec }];
    const plan = await world.tell();
    expect(plan.dispatch).toHaveLength(2);
    expect(new Set(names(plan.dispatch).map((name) => world.of(name).metadata.labels['service'])).size).toBe(2);
    expect(reasons(plan)).toEqual(['GroupBudgetFull']);
  });
});

describe('offline', () => {
  test('Wait: no batch waits for it, but the run stays open until it has it', async () => {
    const world = await World.settled({ spec: ALL });
    world.connect('m2', false);
    expect(await world.course()).toEqual([['m1', 'm3', 'm4']]);
    const open = await world.plan();
    expect([open.phase, open.hold]).toMatchObject(['Progressing', [{ machine: 'm2', reason: 'Offline' }]]);
    world.connect('m2', true);
    expect(await world.course()).toEqual([['m2']]);
    expect((await world.plan()).phase).toBe('Completed');
  });

  test('Skip: fetched first, complete without it, and it follows on return', async () => {
    const world = await World.settled({ spec: { ...ALL, offline: 'Skip' } });
    world.connect('m2', false);
    const first = await world.tell();
    expect([names(first.fetch), first.dispatch]).toEqual([['m1', 'm3', 'm4'], []]);
    world.fetched(['m1', 'm3', 'm4']);
    expect(names((await world.tell()).dispatch)).toEqual(['m1', 'm3', 'm4']);
    world.end();
    expect((await world.plan()).phase).toBe('Completed');
    world.connect('m2', true);
    const back = await world.tell();
    expect([...names(back.fetch), ...names(back.dispatch)]).toEqual(['m2']);
  });

  test.each(['Wait', 'Skip'])(
    'a canary batch of which nobody could be tested does not advance (%s)',
    async (offline) => {
      const labels = (i: number) => (i === 0 ? { role: 'canary' } : {});
      const steps = [{ batch: { selector: role('canary') } }];
      const world = await World.settled({ labels, spec: { ...ALL, offline, steps } });
      world.connect('m1', false);
      const plan = await world.tell();
      expect([plan.phase, plan.step.index, plan.dispatch, plan.fetch]).toEqual(['Progressing', 0, [], []]);
    },
  );
});

test('not built: held, outside percentages and thresholds; the run ends completed with Incomplete', async () => {
  const world = await World.settled({ spec: { ...ALL, steps: [batch('50%'), { pause: { duration: '1s' } }] } });
  const record = (revision: string, machines: Record<string, string>, failures: object) => ({
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: `web-${revision}`, namespace: 'shop' },
    revision: 1,
    data: {
      config: 'web',
      revision,
      source: 'main',
      builtAt: '2026-03-01T00:00:00Z',
      part: 0,
      parts: 1,
      job: 'j',
      machines,
      failures,
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
    },
  });
  const path = (name: string) => `/nix/store/${'0'.repeat(32)}-nixos-system-${name}`;
  const built = { m1: path('m1'), m2: path('m2'), m3: path('m3') };
  world.others = [record('r2', built, { m4: { stage: 'Build', message: 'no such option' } })];
  const first = await world.tell();
  // Half of the three that can have it.
  expect(first.dispatch).toHaveLength(2);
  expect(first.hold).toContainEqual({ machine: 'm4', reason: 'NotBuilt', message: 'no such option' });
  world.end();
  await world.plan();
  world.wait(2);
  await world.course();
  const end = await world.plan();
  expect([end.phase, condition(end, 'Incomplete'), end.counts]).toMatchObject([
    'Completed',
    'True',
    { notBuilt: 1, updated: 3, failed: 0 },
  ]);
});

test('machines that need a reboot nobody allows count as updated, in pendingReboot', async () => {
  const world = await World.settled({ spec: ALL });
  await world.tell();
  world.end('RebootRequired', ['m1']);
  world.end();
  const { phase, counts } = await world.plan();
  expect([phase, counts]).toMatchObject(['Completed', { updated: 4, pendingReboot: 1, failed: 0 }]);
});

describe('soak', () => {
  const soaking = async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1, { soak: '10m' })] } });
    const [canary = ''] = names((await world.tell()).dispatch);
    world.end();
    world.wait(599);
    return { world, canary };
  };
  test('it counts once it stayed healthy for so long', async () => {
    const { world } = await soaking();
    expect((await world.plan()).dispatch).toEqual([]);
    world.wait(1);
    expect((await world.plan()).dispatch).toHaveLength(3);
  });
  test('one that turns bad in that time failed', async () => {
    const { world, canary } = await soaking();
    world.health(canary, false);
    world.wait(1);
    expect(await world.plan()).toMatchObject({ phase: 'Failed', dispatch: [], counts: { failed: 1, updated: 0 } });
  });
});

describe('thresholds', () => {
  test.each([
    [90, 10, 1, 'Completed'],
    [91, 10, 1, 'Failed'],
    [67, 3, 1, 'Failed'],
    [66, 3, 1, 'Completed'],
    [100, 4, 0, 'Completed'],
    [0, 4, 4, 'Completed'],
  ])('%i %% of %i with %i failed: %s', async (successThreshold, machines, bad, phase) => {
    const world = await World.settled({ machines, spec: { ...ALL, successThreshold } });
    await world.tell();
    world.end('RolledBack', world.inHand.slice(0, bad));
    world.end();
    expect((await world.plan()).phase).toBe(phase);
  });

  test('as soon as it can no longer be reached the run fails, without waiting for the rest', async () => {
    const world = await World.settled({ spec: ALL });
    await world.tell();
    world.end('RolledBack', ['m1']);
    expect(await world.plan()).toMatchObject({ phase: 'Failed', counts: { updating: 3, failed: 1 } });
  });

  test('whoever takes longer than machineTimeout, 30 min by default, failed', async () => {
    const world = await World.settled({ spec: ALL });
    await world.tell();
    world.end('Committed', ['m1', 'm2', 'm3']);
    world.wait(30 * 60 - 1);
    expect((await world.plan()).phase).toBe('Progressing');
    world.wait(2);
    expect(await world.plan()).toMatchObject({ phase: 'Failed', counts: { failed: 1 } });
  });
});

describe('time', () => {
  const berlin = (cron: string, duration: string) => ({ windows: [{ cron, duration, timeZone: 'Europe/Berlin' }] });
  // Spring: 02:30 on 29 March does not exist, 03:30 CEST is 01:30 UTC. Autumn: 02:30 on 25 October is 00:30 and 01:30 UTC.
  test.each([
    ['before it opens', { windows: [{ cron: '0 14 * * *', duration: '2h' }] }, '2026-03-02T13:59:59Z', 0],
    ['as it opens', { windows: [{ cron: '0 14 * * *', duration: '2h' }] }, '2026-03-02T14:00:00Z', 4],
    ['its last second', { windows: [{ cron: '0 14 * * *', duration: '2h' }] }, '2026-03-02T15:59:59Z', 4],
    [
      'its end, which no longer belongs to it',
      { windows: [{ cron: '0 14 * * *', duration: '2h' }] },
      '2026-03-02T16:00:00Z',
      0,
    ],
    [
      'day of month or day of week: the day of the month',
      { windows: [{ cron: '0 14 2 * 5', duration: '1h' }] },
      '2026-03-02T14:30:00Z',
      4,
    ],
    [
      'day of month or day of week: the day of the week',
      { windows: [{ cron: '0 14 2 * 5', duration: '1h' }] },
      '2026-03-06T14:30:00Z',
      4,
    ],
    [
      'day of month or day of week: neither',
      { windows: [{ cron: '0 14 2 * 5', duration: '1h' }] },
      '2026-03-03T14:30:00Z',
      0,
    ],
    ['a zone', berlin('0 14 * * *', '1h'), '2026-03-02T13:30:00Z', 4],
    ['spring: before the gap has passed', berlin('30 2 * * *', '1h'), '2026-03-29T01:29:59Z', 0],
    ['spring: moved forward by the gap', berlin('30 2 * * *', '1h'), '2026-03-29T01:30:00Z', 4],
    ['autumn: the first time', berlin('30 2 * * *', '30m'), '2026-10-25T00:45:00Z', 4],
    ['autumn: not the second time', berlin('30 2 * * *', '30m'), '2026-10-25T01:45:00Z', 0],
    ['autumn: its duration is time that passes', berlin('30 1 * * *', '3h'), '2026-10-25T02:29:59Z', 4],
    ['autumn: and no longer', berlin('30 1 * * *', '3h'), '2026-10-25T02:30:00Z', 0],
    [
      'a freeze',
      { freezes: [{ from: '2026-03-02T12:00:00Z', to: '2026-03-02T13:00:00Z', reason: 'sale' }] },
      '2026-03-02T12:59:59Z',
      0,
    ],
    [
      'its end',
      { freezes: [{ from: '2026-03-02T12:00:00Z', to: '2026-03-02T13:00:00Z', reason: 'sale' }] },
      '2026-03-02T13:00:00Z',
      4,
    ],
  ])('%s', async (_, spec, now, told) => {
    const world = await World.settled({ now, spec: { ...ALL, ...spec } });
    const plan = await world.plan();
    expect(plan.dispatch).toHaveLength(told);
    if (told === 0) expect(reasons(plan).every((reason) => ['OutsideWindow', 'Frozen'].includes(reason))).toBe(true);
    if (told === 0) expect(plan.nextCheck).not.toBeNull();
  });

  test('each machine by its own clock', async () => {
    const windows = [{ cron: '0 20 * * *', duration: '2h', timeZone: 'Machine' }];
    const world = await World.settled({ machines: 2, spec: { ...ALL, windows } });
    world.of('m1').spec['timeZone'] = 'Asia/Karachi';
    expect(names((await world.plan()).dispatch)).toEqual([]);
    world.wait(3 * 3600);
    // 15:00 UTC is 20:00 in Karachi.
    expect(names((await world.plan()).dispatch)).toEqual(['m1']);
  });

  test('what is told to fetch goes when the switch window opens, and takes no slot until then', async () => {
    const windows = [{ cron: '0 14 * * *', duration: '2h', actions: ['Switch'] }];
    const world = await World.settled({ spec: { ...ALL, windows } });
    const early = await world.tell();
    expect([early.dispatch, early.fetch.length, early.budget.unavailable]).toEqual([[], 4, 0]);
    world.fetched(['m1', 'm2', 'm3', 'm4']);
    const waiting = await world.tell();
    expect([waiting.dispatch, reasons(waiting), waiting.nextCheck]).toEqual([
      [],
      ['OutsideWindow'],
      '2026-03-02T14:00:00Z',
    ]);
    world.wait(2 * 3600);
    expect((await world.tell()).dispatch).toHaveLength(4);
  });

  test('urgent passes windows, freezes and consent', async () => {
    const freezes = [{ from: '2026-03-01T00:00:00Z', to: '2026-03-03T00:00:00Z', reason: 'sale' }];
    const spec = { ...ALL, freezes, windows: [{ cron: '0 2 * * *', duration: '1h' }] };
    const world = await World.settled({ spec, machine: { activation: { consent: 'Ask' } } });
    world.verb('urgent');
    expect((await world.plan()).dispatch).toHaveLength(4);
  });

  test('consent: fetched first, then it waits for its user', async () => {
    const world = await World.settled({ machines: 1, spec: ALL, machine: { activation: { consent: 'Ask' } } });
    expect(names((await world.tell()).fetch)).toEqual(['m1']);
    world.fetched(['m1']);
    expect(reasons(await world.tell())).toEqual(['WaitingForUser']);
  });

  test('pauses run regardless of windows; rollbacks ignore them', async () => {
    const spec = {
      ...ALL,
      steps: [batch(1), { pause: { duration: '1h' } }],
      windows: [{ cron: '0 12 * * *', duration: '10m' }],
    };
    const world = await World.settled({ spec });
    await world.tell();
    world.end();
    expect((await world.plan()).phase).toBe('Paused');
    world.wait(3600);
    expect(await world.plan()).toMatchObject({ phase: 'Progressing', dispatch: [] });
    world.verb('rollback');
    expect((await world.plan()).rollback).toHaveLength(1);
  });
});

describe('a newer revision', () => {
  test('supersedes at once: who was told finishes, nobody else is told the old one, steps start anew', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(2), { pause: {} }] } });
    const old = names((await world.tell()).dispatch);
    world.revision = 'r3';
    const plan = await world.tell();
    expect(plan.step.index).toBe(0);
    expect(plan.dispatch.every(({ closure }) => closure.startsWith('r3/'))).toBe(true);
    for (const name of old) expect(names(plan.dispatch)).not.toContain(name);
    expect(world.status.history?.[0]).toMatchObject({ revision: 'r2', outcome: 'Superseded' });
  });

  test('back to the stable revision: no steps, budget only', async () => {
    const world = await World.settled({ machines: 6, spec: { maxUnavailable: 3, steps: [batch(4), { pause: {} }] } });
    await world.course();
    world.revision = 'r1';
    const plan = await world.tell();
    expect([plan.step.total, plan.dispatch.length]).toEqual([1, 3]);
    world.end();
    await world.course();
    expect((await world.plan()).phase).toBe('Completed');
  });

  test('a change of the steps starts the steps anew; who has the revision has it', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1), { pause: {} }] } });
    await world.course();
    expect((await world.plan()).phase).toBe('Paused');
    world.spec = { ...ALL, steps: [batch('50%'), { pause: {} }] };
    const plan = await world.plan();
    expect([plan.step.index, plan.dispatch.length, plan.counts.updated]).toEqual([0, 1, 1]);
  });
});

describe('failure', () => {
  const broken = async (spec: object) => {
    const world = await World.settled({ machines: 6, spec: { maxUnavailable: 2, ...spec } });
    await world.tell();
    world.end();
    await world.tell();
    const [first = ''] = world.inHand;
    world.end('RolledBack', [first]);
    world.end();
    return { world, first };
  };

  test('Pause tells nobody else and waits', async () => {
    const { world } = await broken({});
    const plan = await world.plan();
    expect([plan.phase, plan.dispatch, plan.rollback, condition(plan, 'Stalled')]).toEqual(['Failed', [], [], 'True']);
    world.wait(86_400);
    expect((await world.plan()).dispatch).toEqual([]);
  });

  test('Rollback returns the updated ones under the budget; then the run is stalled, and the revision not tried again', async () => {
    const { world } = await broken({ onFailure: 'Rollback' });
    const plan = await world.tell();
    expect([plan.phase, plan.dispatch, plan.rollback.length]).toEqual(['RollingBack', [], 2]);
    expect(plan.rollback.every(({ machine, closure }) => closure === `r1/${machine}`)).toBe(true);
    world.end();
    expect((await world.tell()).rollback).toHaveLength(1);
    world.end();
    const end = await world.plan();
    expect([end.phase, condition(end, 'Stalled'), end.dispatch]).toEqual(['Failed', 'True', []]);
  });

  test('Rollback: newest first, and failed ones before them', async () => {
    const world = await World.settled({ spec: { maxUnavailable: 1, onFailure: 'Rollback' } });
    const order: string[] = [];
    for (let i = 0; i < 3; i++) {
      order.push(...names((await world.tell()).dispatch));
      world.end();
      world.wait(60);
    }
    order.push(...names((await world.tell()).dispatch));
    // Its own way back failed: it is left on the new one, sick.
    world.end('Committed');
    world.health(order[3] ?? '', false);
    world.end('Failed', [order[3] ?? '']);
    const first = names((await world.tell()).rollback);
    world.end();
    world.health(order[3] ?? '', true);
    expect([...first, ...(await world.course()).flat()]).toEqual(order.toReversed());
  });

  test('Continue counts, goes on under the budget, and ends completed', async () => {
    const { world, first } = await broken({ onFailure: 'Continue' });
    expect((await world.course()).flat()).not.toContain(first);
    const end = await world.plan();
    expect([end.phase, condition(end, 'Incomplete'), end.counts]).toMatchObject([
      'Completed',
      'True',
      { updated: 5, failed: 1 },
    ]);
  });

  test('retry tells the failed ones of this step again', async () => {
    const { world, first } = await broken({});
    await world.plan();
    world.verb('retry');
    expect(names((await world.tell()).dispatch)).toContain(first);
    world.end();
    await world.course();
    expect((await world.plan()).phase).toBe('Completed');
  });

  test("continue accepts this step's failures", async () => {
    const { world, first } = await broken({});
    await world.plan();
    world.verb('continue');
    expect((await world.course()).flat()).not.toContain(first);
    expect(await world.plan()).toMatchObject({ phase: 'Completed', counts: { updated: 5, failed: 1 } });
  });

  test('abort tells nobody new and leaves the updated ones; retry after it begins at the first step', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1), { pause: {} }] } });
    await world.course();
    world.verb('abort');
    expect(await world.plan()).toMatchObject({ phase: 'Failed', dispatch: [], rollback: [], counts: { updated: 1 } });
    world.wait(1);
    world.verb('retry');
    const plan = await world.plan();
    expect([plan.step.index, plan.dispatch.length]).toEqual([0, 1]);
  });

  test('rollback is a verb of its own', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(2), { pause: {} }] } });
    await world.course();
    world.verb('rollback');
    expect((await world.tell()).rollback).toHaveLength(2);
    world.end();
    expect(await world.plan()).toMatchObject({ phase: 'Failed', counts: { updated: 0 } });
  });

  test('approve answers the pause of this run and step only', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1), { pause: {} }] } });
    await world.course();
    const { run } = (await world.plan()).status;
    for (const wrong of [`${run}.0`, 'xxxxxxxx.1', 'yes']) {
      world.verb('approve', wrong);
      expect((await world.plan()).phase).toBe('Paused');
    }
    world.verb('approve', `${run}.1`);
    expect((await world.plan()).dispatch).toHaveLength(3);
  });

  test('promote leaves out the rest of the steps', async () => {
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1), { pause: {} }, batch(1), { pause: {} }] } });
    await world.course();
    world.verb('promote');
    const plan = await world.plan();
    expect([plan.step.index, plan.dispatch.length]).toEqual([4, 3]);
  });

  test('a verb is obeyed once', async () => {
    const { world } = await broken({});
    await world.plan();
    world.verb('retry');
    await world.tell();
    world.wait(1);
    world.end('RolledBack');
    expect(await world.plan()).toMatchObject({ phase: 'Failed', dispatch: [] });
    expect((await world.plan()).dispatch).toEqual([]);
  });
});

describe('told once', () => {
  test('what failed on a machine is known bad there: no run tells it again until someone retries', async () => {
    const world = await World.settled({ spec: { ...ALL, successThreshold: 50 } });
    await world.tell();
    world.end('RolledBack', ['m1']);
    world.end();
    expect((await world.plan()).phase).toBe('Completed');
    world.revision = 'r3';
    await world.course();
    world.revision = 'r2';
    const again = await world.tell();
    expect(names(again.dispatch)).toEqual(['m2', 'm3', 'm4']);
    expect(again.hold).toMatchObject([{ machine: 'm1', reason: 'KnownBad' }]);
    world.end();
    await world.plan();
    world.wait(1);
    world.verb('retry');
    expect(names((await world.tell()).dispatch)).toEqual(['m1']);
  });

  test('Unconfirmed fails the step, is not known bad, and is tried again by itself, twice at most', async () => {
    const world = await World.settled({ machines: 1, spec: ALL });
    let times = 0;
    for (let i = 0; i < 6; i++) {
      const { dispatch } = await world.tell();
      times += dispatch.length;
      world.wait(60);
      world.end('Unconfirmed');
    }
    expect(times).toBe(3);
    expect((await world.plan()).phase).toBe('Failed');
  });
});

describe('who belongs to it', () => {
  test('joiners in mid-run belong to the last batch', async () => {
    const world = await World.settled({ machines: 3, spec: { ...ALL, steps: [batch(1), batch(1)] } });
    await world.tell();
    world.wait(5);
    world.join('m9');
    world.end();
    expect(names((await world.tell()).dispatch)).not.toContain('m9');
    world.end();
    expect((await world.course()).flat()).toContain('m9');
  });

  test('joiners after completion get the stable revision at once, under the budget', async () => {
    const world = await World.settled({
      spec: { maxUnavailable: 1, steps: [batch(1), { pause: { duration: '1s' } }] },
    });
    await world.course();
    world.wait(2);
    await world.course();
    expect((await world.plan()).phase).toBe('Completed');
    world.wait(5);
    world.join('m8');
    world.join('m9');
    const plan = await world.tell();
    expect(plan.dispatch).toHaveLength(1);
    expect(['r2/m8', 'r2/m9']).toContain(plan.dispatch[0]?.closure);
  });

  test('a machine that leaves leaves the counts', async () => {
    const world = await World.settled({ spec: { maxUnavailable: 1 } });
    const [name] = names((await world.tell()).dispatch);
    world.machines = world.machines.filter(({ metadata }) => metadata.name !== name);
    expect(await world.plan()).toMatchObject({ counts: { total: 3, updating: 0 }, budget: { free: 1 } });
  });

  test('one machine, two Rollouts: the older one has it, the newer says Overlapping and goes on with the rest', async () => {
    const world = await World.settled({ labels: (i) => (i === 0 ? { role: 'db' } : {}), spec: ALL });
    const metadata = { name: 'db', namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z' };
    const spec = { configRef: { name: 'web' }, selector: role('db') };
    world.others = [{ apiVersion: 'floe.dev/v1alpha1', kind: 'Rollout', metadata, spec }];
    const plan = await world.plan();
    expect([names(plan.dispatch), plan.hold, condition(plan, 'Overlapping')]).toMatchObject([
      ['m2', 'm3', 'm4'],
      [{ machine: 'm1', reason: 'OtherRollout' }],
      'True',
    ]);
    expect(plan.conditions.find(({ type }) => type === 'Overlapping')?.message).toContain('1 machine');
  });

  test('an empty selection is complete, and says that nothing is selected', async () => {
    const world = await World.settled({ spec: { ...ALL, selector: role('none') } });
    const plan = await world.plan();
    expect([plan.phase, plan.counts.total, condition(plan, 'NothingSelected')]).toEqual(['Completed', 0, 'True']);
  });

  test('on hold, suspended, and behind another Rollout: nobody is told, each with its reason', async () => {
    const world = await World.settled({ machines: 2, spec: ALL });
    world.of('m1').spec['hold'] = { reason: 'disk swap', until: world.time(60) };
    const held = await world.plan();
    expect([names(held.dispatch), held.hold]).toMatchObject([['m2'], [{ machine: 'm1', reason: 'MachineSuspended' }]]);
    world.wait(60);
    expect(names((await world.plan()).dispatch)).toEqual(['m1', 'm2']);
    world.spec = { ...ALL, suspend: true };
    expect(reasons(await world.plan())).toEqual(['Suspended']);
    world.spec = { ...ALL, dependsOn: [{ name: 'db' }] };
    const metadata = { name: 'db', namespace: 'shop', creationTimestamp: '2026-02-01T00:00:00Z' };
    const db = {
      apiVersion: 'floe.dev/v1alpha1',
      kind: 'Rollout',
      metadata,
      spec: { configRef: { name: 'web' }, selector: role('db') },
    };
    world.others = [{ ...db, status: { phase: 'Progressing', revision: 'r2' } }];
    expect(reasons(await world.plan())).toEqual(['WaitingForDependency']);
    world.others = [{ ...db, status: { phase: 'Completed', revision: 'r2' } }];
    expect((await world.plan()).dispatch).toHaveLength(2);
  });

  test('analysis holds whoever comes after it', async () => {
    const prometheus = { address: 'http://prometheus:9090', query: 'up' };
    const world = await World.settled({ spec: { ...ALL, steps: [batch(1), { analysis: { prometheus, count: 2 } }] } });
    await world.course();
    const plan = await world.plan();
    expect([plan.phase, plan.step.index, reasons(plan)]).toEqual(['Progressing', 1, ['WaitingForAnalysis']]);
  });
});
