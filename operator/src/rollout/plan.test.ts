// Tables for the rules of a rollout: batches, pauses, budget, offline machines, holds, ownership.
import { expect, test } from 'vitest';
import {
  at,
  batch,
  closure,
  config,
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
  rollout,
  running,
  runs,
  sick,
  told,
  took,
} from './rollout.fixture.ts';

const has = (name: string) => machine(name, runs(name, R2));
const condition = (plan: ReturnType<typeof planScene>, type: string) => plan.conditions.find((c) => c.type === type);

test('nothing is built yet: idle, and everyone waits for it', () => {
  const plan = planScene({ machines: fleet(2), revision: undefined });
  expect([plan.phase, plan.dispatch, plan.status.revision]).toEqual(['Idle', [], undefined]);
  expect(reasons(plan)).toEqual({ m1: 'NotBuilt', m2: 'NotBuilt' });
  expect(condition(plan, 'Reconciling')?.status).toBe('True');
});

test('no steps: one batch of all, under the budget', () => {
  const plan = planScene({ machines: fleet(20) });
  expect([plan.phase, plan.step, plan.dispatch.length]).toEqual(['Progressing', { index: 0, total: 1 }, 2]);
  expect(plan.budget).toEqual({ limit: 2, unavailable: 0, free: 2 });
  expect(new Set(Object.values(reasons(plan)))).toEqual(new Set(['BudgetFull']));
  expect(plan.dispatch[0]?.closure).toBe(closure(R2, plan.dispatch[0]?.machine ?? ''));
});

test.each<[string, Parameters<typeof batch>, number, number, number]>([
  ['a count', [2], 10, 0, 2],
  ['a count is that many more', [2], 10, 5, 2],
  ['a percentage', ['30%'], 10, 0, 3],
  ['a percentage is cumulative', ['30%'], 10, 2, 1],
  ['a percentage that is reached already takes nobody, and the rest follows', ['30%'], 10, 3, 7],
  ['more than there are', [50], 3, 0, 3],
  ['a share below 100 % leaves one', ['99%'], 3, 0, 2],
  ['a share above zero takes one', ['1%'], 10, 0, 1],
])('batch: %s', (_, args, total, updated, expected) => {
  const machines = fleet(total).map((m, i) => (i < updated ? has(m.metadata.name) : m));
  const plan = planScene({ spec: { steps: [batch(...args)], maxUnavailable: '100%' }, machines });
  expect(plan.dispatch).toHaveLength(expected);
});

test('batch by labels: percent of those that match, nobody else', () => {
  const machines = Array.from({ length: 10 }, (_, i) =>
    machine(`m${i}`, runs(`m${i}`, R1), { labels: { role: i < 4 ? 'web' : 'db' } }),
  );
  const step = batch('50%', { selector: { matchLabels: { role: 'web' } } });
  const plan = planScene({ spec: { steps: [step], maxUnavailable: 9 }, machines });
  expect(plan.dispatch).toHaveLength(2);
  expect(namesIn(plan.dispatch).every((name) => Number(name.slice(1)) < 4)).toBe(true);
});

test('a batch stays in one zone as long as it can', () => {
  const zone = (i: number) => ({ labels: { 'topology.kubernetes.io/zone': i % 2 === 0 ? 'a' : 'b' } });
  const machines = Array.from({ length: 8 }, (_, i) => machine(`m${i}`, runs(`m${i}`, R1), zone(i)));
  const plan = planScene({ spec: { steps: [batch(4)], maxUnavailable: 8 }, machines });
  expect(namesIn(plan.dispatch)).toEqual(['m0', 'm2', 'm4', 'm6']);
});

test('the canary is done: a pause waits for approval of this run and step, and of no other', () => {
  const spec = { steps: [batch(1), pause()], maxUnavailable: 5 };
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(4).slice(1)];
  const first = planScene({
    spec,
    machines,
    status: running({ step: { index: 0, total: 3, startedAt: at(0) } }),
    now: 2 * MINUTE,
  });
  expect([first.phase, first.step.index, first.dispatch]).toEqual(['Paused', 1, []]);
  expect(condition(first, 'Ready')?.message).toBe('waiting for approval: kubectl floe approve web -n shop');
  expect(new Set(Object.values(reasons(first)))).toEqual(new Set(['StepPaused']));
  expect(first.nextCheck).toBeNull();
  const go = (value: string) =>
    planScene({ spec, machines, status: first.status, annotations: { 'floe.dev/approve': value }, now: 3 * MINUTE });
  for (const value of ['run1.0', 'run1.2', 'run2.1', 'yes']) {
    expect([go(value).phase, go(value).status.lastHandled?.['approve']]).toEqual(['Paused', value]);
  }
  const approved = go('run1.1');
  expect([approved.phase, approved.step.index, approved.dispatch.length]).toEqual(['Progressing', 2, 3]);
  expect([approved.status.lastHandled?.['approve'], approved.status.pausedSeconds]).toEqual(['run1.1', 60]);
});

test.each<[string, Partial<Parameters<typeof planScene>[0]>, string]>([
  ['an abort', { annotations: { 'floe.dev/abort': 'now' } }, 'Aborted'],
  ['a newer revision', { revision: R3 }, 'Superseded'],
  ['a rollback', { annotations: { 'floe.dev/rollback': 'now' } }, 'RolledBack'],
])('a run that %s ends in a pause has spent it in a pause', (_, end, outcome) => {
  const spec = { steps: [batch(1), pause()], maxUnavailable: 5 };
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(3).slice(1)];
  const paused = planScene({ spec, machines, status: running(), now: 2 * MINUTE });
  let ended = planScene({ spec, machines, status: paused.status, now: 5 * MINUTE, ...end });
  // Those that are taken back have returned.
  if (ended.phase === 'RollingBack') {
    ended = planScene({ spec, machines: fleet(3), status: ended.status, now: 9 * MINUTE, ...end });
  }
  expect(ended.status.history?.[0]).toMatchObject({ run: 'run1', outcome, pausedSeconds: 180 });
});

test('an abort in a pause that is taken back counts the pause once', () => {
  const spec = { steps: [batch(1), pause('10m')], maxUnavailable: 5 };
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(3).slice(1)];
  const paused = planScene({ spec, machines, status: running(), now: 2 * MINUTE });
  const annotations = { 'floe.dev/abort': '1' };
  const aborted = planScene({ spec, machines, status: paused.status, now: 5 * MINUTE, annotations });
  const more = { ...annotations, 'floe.dev/continue': '1' };
  const resumed = planScene({ spec, machines, status: aborted.status, now: 6 * MINUTE, annotations: more });
  expect([resumed.phase, resumed.status.history]).toEqual(['Paused', []]);
  const after = planScene({ spec, machines, status: resumed.status, now: 12 * MINUTE, annotations: more });
  expect([after.step.index, after.status.pausedSeconds]).toEqual([2, 600]);
});

test('an approval that came before its pause was there approves nothing', () => {
  const spec = { steps: [batch(1), pause()], maxUnavailable: 5 };
  const annotations = { 'floe.dev/approve': 'run1.1' };
  const early = planScene({ spec, machines: fleet(3), annotations, status: running() });
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(3).slice(1)];
  expect(planScene({ spec, machines, annotations, status: early.status, now: 2 * MINUTE }).phase).toBe('Paused');
});

test('a pause with a duration ends by itself, to the millisecond', () => {
  const spec = { steps: [batch(1), pause('10m')], maxUnavailable: 5 };
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(4).slice(1)];
  const start = planScene({ spec, machines, status: running(), now: 2 * MINUTE });
  expect([start.phase, start.nextCheck]).toEqual(['Paused', at(12 * MINUTE)]);
  expect(condition(start, 'Ready')?.message).toBe('paused until 12:12 UTC');
  expect(planScene({ spec, machines, status: start.status, now: 12 * MINUTE - 1 }).phase).toBe('Paused');
  expect(planScene({ spec, machines, status: start.status, now: 12 * MINUTE }).dispatch).toHaveLength(3);
});

test('soak: a machine counts once it stayed healthy for so long after its commit', () => {
  const spec = { steps: [batch(1, { soak: '5m' })], maxUnavailable: 5 };
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(3).slice(1)];
  const soaking = planScene({ spec, machines, status: running(), now: 6 * MINUTE - 1 });
  expect([soaking.step.index, soaking.dispatch, soaking.nextCheck]).toEqual([0, [], at(6 * MINUTE)]);
  expect(condition(soaking, 'Ready')?.message).toBe('batch of 1: 1 soaks until 12:06 UTC');
  expect(soaking.counts).toMatchObject({ updated: 0, updating: 1 });
  const done = planScene({ spec, machines, status: soaking.status, now: 6 * MINUTE });
  expect([done.step.index, done.dispatch.length, done.counts.updated]).toEqual([1, 2, 1]);
});

test.each([
  ['turned unhealthy', sick(3 * MINUTE)],
  ['went offline', off(3 * MINUTE)],
])('soak: one that %s in that time failed, also when it is well again later', (_, bad) => {
  const spec = { steps: [batch(2, { soak: '5m' })], maxUnavailable: 5, successThreshold: 50 };
  const scene = (m1: object, now: number, status = running()) =>
    planScene({
      spec,
      machines: [
        machine('m1', took('m1', R2, MINUTE, m1)),
        machine('m2', took('m2', R2, MINUTE)),
        ...fleet(3).slice(2),
      ],
      status,
      now,
    });
  const seen = scene(bad, 4 * MINUTE);
  expect(seen.counts).toMatchObject({ failed: 1, updating: 1 });
  expect(seen.status.failures).toMatchObject([{ machine: 'm1', at: at(3 * MINUTE) }]);
  expect(scene({}, 5 * MINUTE, seen.status).counts).toMatchObject({ failed: 1 });
  const afterwards = scene(bad, 7 * MINUTE);
  expect(afterwards.counts.failed).toBe(1);
});

test.each([
  ['ahead', 26 * 60 * MINUTE],
  ['behind', -26 * 60 * MINUTE],
])('soak: a machine whose clock is %s soaks from when Floe heard of its commit', (_, skew) => {
  const spec = { steps: [batch(1, { soak: '5m' })], maxUnavailable: 5 };
  const heard = {
    type: 'UpToDate',
    status: 'True' as const,
    reason: 'x',
    message: 'x',
    lastTransitionTime: at(3 * MINUTE),
  };
  const status = { ...took('m1', R2, MINUTE), conditions: [heard] };
  const attempt = {
    desiredId: status.desired?.id ?? '',
    to: closure(R2, 'm1'),
    phase: 'Committed',
    finishedAt: at(skew),
  };
  const machines = [machine('m1', { ...status, attempt }), ...fleet(3).slice(1)];
  const plan = planScene({ spec, machines, status: running(), now: 7 * MINUTE });
  expect([plan.step.index, plan.nextCheck]).toEqual([0, at(8 * MINUTE)]);
  expect(planScene({ spec, machines, status: plan.status, now: 8 * MINUTE }).step.index).toBe(1);
});

test('soak: a clock that is ahead does not become right by waiting: who is updated stays so, and who failed too', () => {
  const spec = { steps: [batch(2, { soak: '1m' }), pause()], maxUnavailable: 5, successThreshold: 50 };
  const idle = { type: 'Reconciling', status: 'False' as const, reason: 'Idle', message: 'x' };
  const ahead = (name: string, more: object[] = []) => {
    const status = took(name, R2, 0);
    const attempt = { ...status.attempt, phase: 'Committed', finishedAt: at(10 * MINUTE) } as typeof status.attempt;
    const conditions = [{ ...idle, lastTransitionTime: at(MINUTE) }, ...more] as never;
    return machine(name, { ...status, ...(attempt === undefined ? {} : { attempt }), conditions });
  };
  const bad = sick(MINUTE + 20_000).conditions ?? [];
  const open = machine('m3', { ...runs('m3', R1), ...told('m3', R2, 0, { phase: 'Testing' }) });
  const scene = (m1: object[], now: number, status = running()) =>
    planScene({ spec, machines: [ahead('m1', m1), ahead('m2'), open, ...fleet(4).slice(3)], status, now });
  const seen = scene(bad, MINUTE + 30_000);
  expect(seen.counts).toMatchObject({ failed: 1, updating: 2 });
  for (const minutes of [3, 10, 10.5, 12]) {
    expect(scene([], minutes * MINUTE, seen.status).counts).toMatchObject({ failed: 1, updated: 1, updating: 1 });
  }
});

test('soak: what happens after it is no failure of the batch', () => {
  const spec = { steps: [batch(1, { soak: '5m' }), pause()] };
  const machines = [machine('m1', took('m1', R2, MINUTE, sick(7 * MINUTE))), ...fleet(3).slice(1)];
  expect(planScene({ spec, machines, status: running(), now: 8 * MINUTE })).toMatchObject({
    phase: 'Paused',
    counts: { updated: 1 },
  });
});

test.each<[string, object, boolean]>([
  ['healthy', {}, false],
  ['sick', sick(), true],
  ['off, and never told', off(), false],
  ['told, and nothing was heard of it', told('m1', R2, 0), true],
  ['told, and switching', told('m1', R2, 0, { phase: 'Testing' }), true],
  ['told, and fetching', told('m1', R2, 0, { phase: 'Fetching' }), true],
  ['told to fetch only, and fetching', told('m1', R2, 0, { phase: 'Fetching' }, { go: false }), false],
  ['told to fetch only, and fetched', told('m1', R2, 0, { phase: 'Fetched' }, { go: false }), false],
  ['rolled back and healthy', told('m1', R2, 0, { phase: 'RolledBack' }), false],
  ['rolled back and sick', { ...told('m1', R2, 0, { phase: 'RolledBack' }), ...sick() }, true],
  ['told, then off', { ...told('m1', R2, 0), ...off(MINUTE) }, true],
  ['told, then off in the same second', { ...told('m1', R2, 600), ...off(0) }, true],
  ['told while it was off', { ...told('m1', R2, 0), ...off(-MINUTE) }, false],
  ['took it and said so, then off', { ...took('m1', R2, 0), ...off(MINUTE) }, false],
  [
    'took another revision in another run, then off',
    { ...told('m1', R1, -60 * MINUTE, { phase: 'Committed' }, { run: 'run0' }), ...off(-MINUTE) },
    false,
  ],
  [
    'switching by order of another',
    told('m1', R3, -MINUTE, { phase: 'Testing' }, { rollout: 'other', run: 'x' }),
    true,
  ],
  ['switched by hand', { attempt: { desiredId: 'by-hand', to: 'x', phase: 'Testing' } }, true],
])('budget: a machine that is %s', (_, status, unavailable) => {
  const machines = [machine('m1', { ...runs('m1', R1), ...status }), ...fleet(5).slice(1)];
  const plan = planScene({ spec: { maxUnavailable: 2 }, machines, status: running(), now: 2 * MINUTE });
  expect(plan.budget.unavailable).toBe(unavailable ? 1 : 0);
});

/** `connection` of a machine of which only the day is known since when it is off. */
const offSinceDay = (day: string): object => ({ connection: { online: false, since: `${day}T00:00:00Z` } });

test.each<[string, object, boolean]>([
  ['told and switching, then off on the same day', told('m1', R2, 0, { phase: 'Testing' }), true],
  ['told, and off on the same day', told('m1', R2, 0), true],
  ['off on the same day, and never told', {}, false],
  [
    'took another revision in another run, then off on the same day',
    told('m1', R1, -60 * MINUTE, { phase: 'Committed' }, { run: 'run0' }),
    false,
  ],
])('budget: a machine with Coarse presence that is %s', (_, status, unavailable) => {
  const coarse = (day: string) =>
    machine('m1', { ...runs('m1', R1), ...status, ...offSinceDay(day) }, { presence: 'Coarse' });
  const plan = (day: string) =>
    planScene({
      spec: { maxUnavailable: 2 },
      machines: [coarse(day), ...fleet(5).slice(1)],
      status: running(),
      now: 2 * MINUTE,
    });
  expect(plan('2026-03-01').budget.unavailable).toBe(unavailable ? 1 : 0);
  // Off since an earlier day: it was so before its go.
  expect(plan('2026-02-28').budget.unavailable).toBe(0);
});

test('soak: a machine with Coarse presence failed if it is seen off in that time, and not if it goes off later that day', () => {
  const spec = { steps: [batch(2, { soak: '5m' })], maxUnavailable: 5, successThreshold: 50 };
  const scene = (connection: object, now: number, status = running()) => {
    const m1 = machine('m1', { ...took('m1', R2, MINUTE), ...connection }, { presence: 'Coarse' });
    return planScene({ spec, machines: [m1, machine('m2', took('m2', R2, MINUTE))], status, now });
  };
  const seen = scene(offSinceDay('2026-03-01'), 4 * MINUTE);
  expect(seen.counts).toMatchObject({ failed: 1, updating: 1 });
  expect(scene(offSinceDay('2026-03-01'), 7 * MINUTE, seen.status).counts).toMatchObject({ failed: 1 });
  expect(scene(offSinceDay('2026-03-01'), 7 * MINUTE).counts).toMatchObject({ failed: 0, updated: 2 });
});

test('budget: full, and everyone else waits for it', () => {
  const machines = [machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0) }), ...fleet(3).slice(1)];
  const plan = planScene({ machines, status: running(), now: MINUTE });
  expect([plan.dispatch, reasons(plan)]).toEqual([[], { m1: 'InProgress', m2: 'BudgetFull', m3: 'BudgetFull' }]);
});

test('a sick machine is no canary; it uses the slot that it holds once the canary has passed', () => {
  const spec = { steps: [batch(1)], maxUnavailable: 2 };
  const ill = machine('m1', { ...runs('m1', R1), ...sick() });
  const canary = planScene({ spec, machines: [ill, ...fleet(4).slice(1)] });
  expect([canary.dispatch.length, namesIn(canary.dispatch).includes('m1')]).toEqual([1, false]);
  const done = machine('m2', took('m2', R2, MINUTE));
  const next = planScene({
    spec: { ...spec, maxUnavailable: 1 },
    machines: [ill, done, ...fleet(4).slice(2)],
    status: running(),
    now: 2 * MINUTE,
  });
  expect([next.step.index, namesIn(next.dispatch)]).toEqual([1, ['m1']]);
  expect(reasons(next)).toEqual({ m3: 'BudgetFull', m4: 'BudgetFull' });
});

test('a sick machine that is the only canary there is gets its fix', () => {
  const labels = { labels: { canary: 'yes' } };
  const steps = [batch(undefined, { selector: { matchLabels: { canary: 'yes' } } })];
  const plan = planScene({
    spec: { steps },
    machines: [machine('m1', { ...runs('m1', R1), ...sick() }, labels), ...fleet(3).slice(1)],
  });
  expect(namesIn(plan.dispatch)).toEqual(['m1']);
});

test('offline: a machine that is off is not told, holds up no batch, and keeps the run open', () => {
  const spec = { steps: [batch('50%')], maxUnavailable: 4 };
  const machines = [
    machine('m1', { ...runs('m1', R1), ...off() }),
    ...['m2', 'm3', 'm4'].map((name) => machine(name, took(name, R2, MINUTE))),
  ];
  const plan = planScene({
    spec,
    machines,
    status: running({ step: { index: 1, total: 2, startedAt: at(0) } }),
    now: 2 * MINUTE,
  });
  expect([plan.phase, plan.dispatch, reasons(plan)]).toEqual(['Progressing', [], { m1: 'Offline' }]);
  expect(condition(plan, 'Ready')?.message).toBe('last batch: m1 waits to come back online');
  const skipped = planScene({
    spec: { ...spec, offline: 'Skip' },
    machines,
    status: running({ step: { index: 1, total: 2, startedAt: at(0) } }),
    now: 2 * MINUTE,
  });
  expect([skipped.phase, skipped.status.stableRevision]).toEqual(['Completed', R2]);
});

test('offline Skip: fetch first, go once it reports Fetched; who was skipped follows on return', () => {
  const spec = { offline: 'Skip' as const, maxUnavailable: 1 };
  const fetch = planScene({ spec, machines: fleet(2) });
  expect([namesIn(fetch.fetch), fetch.dispatch]).toEqual([['m1', 'm2'], []]);
  const fetching = (name: string, phase: string) =>
    machine(name, { ...runs(name, R1), ...told(name, R2, 0, { phase }, { go: false }) });
  const go = planScene({
    spec,
    machines: [fetching('m1', 'Fetched'), fetching('m2', 'Fetching')],
    status: running(),
    now: MINUTE,
  });
  expect([namesIn(go.dispatch), go.fetch, reasons(go)]).toEqual([['m1'], [], { m2: 'InProgress' }]);
  expect(go.dispatch[0]?.id).toBe('m1-222222222222-0');
  const completed = running({ phase: 'Completed', stableRevision: R2 });
  const back = planScene({ spec, machines: [has('m1'), ...fleet(2).slice(1)], status: completed, now: MINUTE });
  expect([back.phase, namesIn(back.fetch)]).toEqual(['Completed', ['m2']]);
});

test.each(['Wait', 'Skip'] as const)(
  'a canary batch of which nobody could be tested does not advance (%s)',
  (offline) => {
    const machines = fleet(3).map((m) => machine(m.metadata.name, { ...m.status, ...off() }));
    for (const steps of [[batch(1)], [batch(1), pause()], []]) {
      const plan = planScene({ spec: { steps, offline }, machines });
      expect([plan.phase, plan.step.index, plan.dispatch, plan.fetch]).toEqual(['Progressing', 0, [], []]);
    }
  },
);

test('a first batch that matches nobody waits, and says why', () => {
  const steps = [batch(undefined, { selector: { matchLabels: { canary: 'yes' } } })];
  const plan = planScene({ spec: { steps }, machines: fleet(3) });
  expect([plan.phase, plan.dispatch]).toEqual(['Progressing', []]);
  expect(condition(plan, 'Ready')?.message).toBe('batch by label: no machine matches it that could be tested');
});

test.each([
  ['without end', { reason: 'demo' }, true],
  ['until later', { reason: 'demo', until: at(MINUTE) }, true],
  ['until now', { reason: 'demo', until: at(0) }, false],
])('a hold on a machine %s', (_, hold, holds) => {
  const plan = planScene({ spec: { maxUnavailable: 5 }, machines: [machine('m1', runs('m1', R1), { hold })] });
  expect(reasons(plan)).toEqual(holds ? { m1: 'MachineSuspended' } : {});
  if ('until' in hold && hold.until === at(MINUTE)) expect(plan.nextCheck).toBe(at(MINUTE));
});

test('what root activated by hand is left alone like a machine on hold, and says how that ends', () => {
  const held = { closure: 'by-hand', since: at(-MINUTE) };
  const plan = planScene({ spec: { maxUnavailable: 5 }, machines: [machine('m1', { ...runs('m1', R1), held })] });
  expect(plan.dispatch).toEqual([]);
  expect(plan.hold).toMatchObject([
    { machine: 'm1', reason: 'MachineSuspended', message: expect.stringContaining('floe-agent release') },
  ]);
});

test('suspend: nobody is told anything; what is told goes on', () => {
  const machines = [
    machine('m1', { ...runs('m1', R1), ...told('m1', R2, 0, { phase: 'Testing' }) }),
    ...fleet(3).slice(1),
  ];
  const plan = planScene({ spec: { suspend: true, maxUnavailable: 5 }, machines, status: running(), now: MINUTE });
  expect([plan.phase, plan.dispatch, reasons(plan)]).toEqual([
    'Paused',
    [],
    { m1: 'InProgress', m2: 'Suspended', m3: 'Suspended' },
  ]);
});

const notBuilt = (...names: string[]) => ({
  closures: {
    knows: () => true,
    of: (revision: string, name: string) =>
      names.includes(name)
        ? { kind: 'failure' as const, message: 'option services.nginx.enabel does not exist' }
        : { kind: 'closure' as const, closure: closure(revision, name) },
  },
});

test('not built: held, outside percentages and thresholds; the run ends completed and incomplete', () => {
  const plan = planScene({
    spec: { steps: [batch('50%')], maxUnavailable: 9 },
    machines: fleet(5),
    snapshot: notBuilt('m4', 'm5'),
  });
  expect(plan.dispatch).toHaveLength(2);
  expect(reasons(plan)).toMatchObject({ m4: 'NotBuilt', m5: 'NotBuilt' });
  const rest = planScene({ machines: [has('m1'), ...fleet(2).slice(1)], snapshot: notBuilt('m2'), status: running() });
  expect([rest.phase, rest.counts.notBuilt]).toEqual(['Completed', 1]);
  expect(condition(rest, 'Incomplete')).toMatchObject({ status: 'True', reason: 'NotBuilt', message: 'not built: m2' });
});

test('a run begins only when the build is known whole', () => {
  const unknown = { closures: { knows: () => false, of: () => ({ kind: 'none' as const }) } };
  expect(planScene({ machines: fleet(1), snapshot: unknown }).phase).toBe('Idle');
});

test.each([
  ['switched, but for the kernel', { ...took('m1', R2, 0), reboot: { required: true, reasons: ['kernel'] } }],
  [
    'has it at its next boot only',
    {
      ...runs('m1', R1),
      ...told('m1', R2, 0, { phase: 'RebootRequired' }),
      bootDefault: { closure: closure(R2, 'm1') },
    },
  ],
])('a machine that %s counts as updated, pending reboot', (_, status) => {
  const plan = planScene({ machines: [machine('m1', status)], status: running(), now: MINUTE });
  expect([plan.phase, plan.counts.updated, plan.counts.pendingReboot, plan.hold]).toEqual(['Completed', 1, 1, []]);
});

test('a machine that runs the closure has the revision, whatever its status says of it', () => {
  const same = machine('m1', { ...runs('m1', R1), current: { closure: closure(R2, 'm1'), revision: R1 } });
  const plan = planScene({ machines: [same] });
  expect([plan.phase, plan.dispatch, plan.counts.updated]).toEqual(['Completed', [], 1]);
});

test('joiners: in mid-run they belong to the last batch, after completion they get the stable revision at once', () => {
  const joiner = machine('m9', runs('m9', R1, { connection: { online: true, since: at(MINUTE) } }), {
    created: at(MINUTE),
  });
  const spec = { steps: [batch('50%')], maxUnavailable: 9 };
  const first = planScene({ spec, machines: fleet(4), status: running() });
  const mid = planScene({ spec, machines: [...fleet(4), joiner], status: first.status, now: 2 * MINUTE });
  expect(mid.dispatch).toHaveLength(2);
  expect(reasons(mid)['m9']).toBe('LaterStep');
  const done = running({ phase: 'Completed', stableRevision: R2 });
  const after = planScene({
    spec: { ...spec, maxUnavailable: 1 },
    machines: [has('m1'), joiner],
    status: done,
    now: 2 * MINUTE,
  });
  expect([after.phase, after.dispatch.map(({ machine: m, reason }) => [m, reason])]).toEqual([
    'Progressing',
    [['m9', 'Joined']],
  ]);
});

test('a machine that comes back from another Rollout is told anew, with an id that its agent does not know', () => {
  const done = running({ phase: 'Completed', stableRevision: R2 });
  const first = planScene({ machines: [machine('m1', runs('m1', R1))], status: done }).dispatch[0];
  const foreign = { ...told('m1', R3, 0, { phase: 'Committed' }, { rollout: 'other', closure: 'other/m1' }) };
  const other = { closure: 'other/m1', revision: R3 };
  const away = machine('m1', runs('m1', R1, { ...foreign, current: other, bootDefault: other }));
  const back = planScene({ machines: [away], status: done, now: MINUTE }).dispatch[0];
  expect([back?.machine, back?.closure]).toEqual(['m1', closure(R2, 'm1')]);
  expect(back?.id).not.toBe(first?.id);
  // One that went back by itself runs the closure, but its status still has the order of the other.
  const rolledBack = machine('m1', runs('m1', R2, foreign));
  expect(namesIn(planScene({ machines: [rolledBack], status: done, now: MINUTE }).dispatch)).toEqual(['m1']);
});

test('overlapping: the older Rollout owns, then the lesser name; the other goes on with the rest', () => {
  const canary = { labels: { canary: 'yes' } };
  const machines = [machine('m1', runs('m1', R1), canary), ...fleet(3).slice(1)];
  const selector = { matchLabels: { canary: 'yes' } };
  const older = rollout({ selector }, undefined, { name: 'zzz', creationTimestamp: at(-60 * MINUTE) });
  const twin = rollout({ selector }, undefined, { name: 'aaa' });
  const younger = rollout({ selector }, undefined, { name: 'aaa', creationTimestamp: at(0) });
  const foreign = rollout({ selector, configRef: { name: 'other' } }, undefined, { name: 'aaa' });
  for (const [other, owns] of [
    [older, false],
    [twin, false],
    [younger, true],
    [foreign, true],
  ] as const) {
    const plan = planScene({ spec: { maxUnavailable: 9 }, machines, others: [other] });
    expect(namesIn(plan.dispatch)).toEqual(owns ? ['m1', 'm2', 'm3'] : ['m2', 'm3']);
    expect(reasons(plan)).toEqual(owns ? {} : { m1: 'OtherRollout' });
    expect(condition(plan, 'Overlapping')?.message).toBe(
      owns ? undefined : `1 machine is left to the older Rollout ${other.metadata.name}`,
    );
    expect(plan.counts.total).toBe(owns ? 3 : 2);
  }
});

test('an empty selection is complete and says so; it starts once somebody is selected', () => {
  const spec = { steps: [batch(1)], maxUnavailable: 9 };
  const empty = planScene({ spec: { ...spec, selector: { matchLabels: { a: 'b' } } }, machines: fleet(2) });
  expect([empty.phase, empty.status.stableRevision]).toEqual(['Completed', undefined]);
  expect(condition(empty, 'NothingSelected')?.status).toBe('True');
  expect(condition(empty, 'Ready')?.status).toBe('True');
  const filled = planScene({ spec, machines: fleet(2), status: empty.status, now: MINUTE });
  expect([filled.phase, filled.step.index, filled.dispatch.length]).toEqual(['Progressing', 0, 1]);
});

test.each([
  ['no config', { config: undefined }, 'ConfigNotFound', 'False'],
  ['delivery Immediate', { config: config(R2, { delivery: 'Immediate' }) }, 'DeliveryImmediate', 'True'],
])('%s: nobody is told', (_, snapshot, reason, stalled) => {
  const plan = planScene({ machines: fleet(1), snapshot });
  expect([plan.dispatch, condition(plan, 'Ready')?.reason, condition(plan, 'Stalled')?.status]).toEqual([
    [],
    reason,
    stalled,
  ]);
});

test('a spec that the schema refuses stalls, and names field and remedy', () => {
  const plan = planScene({ spec: { steps: [batch(1), batch('0%')] }, machines: fleet(1), status: running() });
  expect([plan.phase, plan.dispatch, plan.status.revision]).toEqual(['Progressing', [], R2]);
  expect(condition(plan, 'Stalled')).toMatchObject({
    status: 'True',
    reason: 'InvalidSpec',
    message: 'spec.steps[1].batch.size: "0%" selects nobody; use a count or a share above 0 %',
  });
});

test('the counts add up', () => {
  const machines = [
    has('m1'),
    machine('m2', { ...runs('m2', R1), ...told('m2', R2, 0, { phase: 'Testing' }) }),
    machine('m3', failed('m3', R2, MINUTE)),
    machine('m4', { ...runs('m4', R1), ...off() }),
    machine('m5', runs('m5', R1, { knownBad: [closure(R2, 'm5')] })),
  ];
  const plan = planScene({ spec: { successThreshold: 0 }, machines, status: running(), now: 2 * MINUTE });
  expect(plan.counts).toEqual({
    total: 5,
    updated: 1,
    updating: 1,
    failed: 2,
    offline: 1,
    pending: 1,
    unavailable: 1,
    notBuilt: 0,
    pendingReboot: 0,
  });
  expect(reasons(plan)).toEqual({ m2: 'InProgress', m3: 'Failed', m4: 'Offline', m5: 'KnownBad' });
});
