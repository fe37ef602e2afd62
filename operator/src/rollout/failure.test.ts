// Tables for the rules of a rollout: failure, verbs, supersede, rollback.
import type { RolloutStatus } from '@floe/crds/rollout';
import { describe, expect, test } from 'vitest';
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

const condition = (plan: Plan, type: string) => plan.conditions.find((c) => c.type === type);
const verb = (name: string, value = 'now') => ({ [`floe.dev/${name}`]: value });
const canary = { steps: [batch(1)], maxUnavailable: 9 };
/** The canary m1 failed, m2 to m4 were never told. */
const broken: Scene = {
  spec: canary,
  machines: [machine('m1', failed('m1', R2, MINUTE)), ...fleet(4).slice(1)],
  status: running(),
  now: 2 * MINUTE,
};
const brokenStatus = (): RolloutStatus => planScene(broken).status;

test('the canary fails: the run fails, tells nobody else, and says what happened and what next', () => {
  const plan = planScene(broken);
  expect([plan.phase, plan.step.index, plan.dispatch, plan.rollback]).toEqual(['Failed', 0, [], []]);
  expect(condition(plan, 'Ready')).toMatchObject({ status: 'False', reason: 'Failed' });
  expect(condition(plan, 'Ready')?.message).toBe('m1: hello.service failed (exit 1), rolled back to 1111111');
  expect(condition(plan, 'Stalled')).toMatchObject({ status: 'True' });
  expect(condition(plan, 'Stalled')?.message).toContain('kubectl floe retry, continue, rollback or abort web -n shop');
  expect(condition(plan, 'Reconciling')?.status).toBe('False');
  expect(reasons(plan)).toEqual({ m1: 'Failed', m2: 'Failed', m3: 'Failed', m4: 'Failed' });
  expect(plan.status.failures).toMatchObject([
    { machine: 'm1', message: 'hello.service failed (exit 1), rolled back to 1111111' },
  ]);
  expect(plan.status.history).toMatchObject([
    { run: 'run1', revision: R2, outcome: 'Failed', endedAt: at(2 * MINUTE) },
  ]);
  const later = planScene({ ...broken, status: plan.status, now: 60 * MINUTE });
  expect([later.phase, later.dispatch, later.status.history?.length]).toEqual(['Failed', [], 1]);
});

test.each<[string, number, number, number, string]>([
  ['all well', 0, 4, 100, 'Progressing'],
  ['one fails where all must succeed', 1, 2, 100, 'Failed'],
  ['as many fail as may', 1, 3, 75, 'Progressing'],
  ['one more fails, without waiting for the rest', 2, 0, 75, 'Failed'],
  ['nobody has to succeed', 4, 0, 0, 'Progressing'],
  ['the rest may still make it', 1, 0, 75, 'Progressing'],
])('threshold: %s', (_, bad, good, successThreshold, phase) => {
  const names = ['m1', 'm2', 'm3', 'm4'];
  const machines = names.map((name, i) => {
    if (i < bad) return machine(name, failed(name, R2, MINUTE));
    if (i < bad + good) return machine(name, took(name, R2, MINUTE));
    return machine(name, { ...runs(name, R1), ...told(name, R2, 0, { phase: 'Testing' }) });
  });
  const spec = { steps: [batch(4), pause()], successThreshold, maxUnavailable: 9 };
  const plan = planScene({ spec, machines: [...machines, ...fleet(6).slice(4)], status: running(), now: 2 * MINUTE });
  const ended = bad + good === 4;
  expect(plan.phase).toBe(phase === 'Progressing' && ended ? 'Paused' : phase);
});

test('failures of a batch that was passed are not counted against the next one', () => {
  const spec = { steps: [batch(2), batch(2)], successThreshold: 50, maxUnavailable: 9 };
  const first = [machine('m1', failed('m1', R2, MINUTE)), machine('m2', took('m2', R2, MINUTE))];
  const second = planScene({ spec, machines: [...first, ...fleet(6).slice(2)], status: running(), now: 2 * MINUTE });
  expect([second.step.index, second.dispatch.length]).toEqual([1, 2]);
  const took2 = ['m3', 'm4'].map((name, i) =>
    machine(name, i === 0 ? failed(name, R2, 3 * MINUTE) : took(name, R2, 3 * MINUTE)),
  );
  const third = planScene({
    spec,
    machines: [...first, ...took2, ...fleet(6).slice(4)],
    status: second.status,
    now: 4 * MINUTE,
  });
  expect([third.phase, third.step.index]).toEqual(['Progressing', 2]);
});

test.each<[string, object, number, boolean]>([
  ['in time', told('m1', R2, 0, { phase: 'Testing' }), 30 * MINUTE - 1, false],
  ['too long', told('m1', R2, 0, { phase: 'Testing' }), 30 * MINUTE, true],
  ['unheard of', told('m1', R2, 0), 30 * MINUTE, true],
  ['gone', { ...told('m1', R2, 0), ...off(MINUTE) }, 30 * MINUTE, true],
])('machineTimeout: %s', (_, status, now, isFailed) => {
  const machines = [machine('m1', { ...runs('m1', R1), ...status }), ...fleet(3).slice(1)];
  const plan = planScene({ spec: { steps: [batch(1)], machineTimeout: '30m' }, machines, status: running(), now });
  expect([plan.phase, plan.budget.unavailable]).toEqual([isFailed ? 'Failed' : 'Progressing', 1]);
  expect(plan.nextCheck).toBe(isFailed ? null : at(30 * MINUTE));
  if (isFailed) expect(condition(plan, 'Ready')?.message).toMatch(/^m1: not done 30 min after its go, /);
});

test('a machine is told a closure once per run, and a known bad one not in any run until someone retries', () => {
  const spec = { maxUnavailable: 9, successThreshold: 50 };
  const bad = machine('m1', { ...failed('m1', R2, MINUTE), knownBad: [closure(R2, 'm1')] });
  const machines = [bad, ...fleet(3).slice(1)];
  const same = planScene({ spec, machines, status: running(), now: 2 * MINUTE });
  expect([namesIn(same.dispatch), reasons(same)['m1']]).toEqual([['m2', 'm3'], 'Failed']);
  const other = planScene({
    spec,
    machines,
    status: running({ run: 'run2', startedAt: at(2 * MINUTE) }),
    now: 3 * MINUTE,
  });
  // The order has no run: it is told from those of this run by its time.
  expect([namesIn(other.dispatch), reasons(other)['m1']]).toEqual([['m2', 'm3'], 'KnownBad']);
  const retried = planScene({ spec, machines, status: other.status, annotations: verb('retry'), now: 4 * MINUTE });
  expect(retried.dispatch.find(({ machine: name }) => name === 'm1')?.reason).toBe('Retry');
});

test('an order of a program that cuts times to seconds is not taken for one from before the retry of that second', () => {
  const retried = running({ retry: { count: 1, at: at(600) } });
  const own = failed('m1', R2, 0);
  const attempt = { ...own.attempt, finishedAt: at(MINUTE) } as NonNullable<typeof own.attempt>;
  const scene = (finishedAt: string) =>
    planScene({
      machines: [machine('m1', { ...own, attempt: { ...attempt, finishedAt } }), ...fleet(2).slice(1)],
      status: retried,
      now: 2 * MINUTE,
    });
  expect(namesIn(scene(at(MINUTE)).dispatch)).not.toContain('m1');
  expect(namesIn(scene(at(300)).dispatch)).toContain('m1');
});

test('a run ends completed though a closure is known bad on a machine, and says so', () => {
  const machines = [
    machine('m1', runs('m1', R1, { knownBad: [closure(R2, 'm1')] })),
    machine('m2', took('m2', R2, MINUTE)),
  ];
  const plan = planScene({ machines, status: running(), now: 2 * MINUTE });
  expect([plan.phase, condition(plan, 'Incomplete')?.message]).toEqual(['Completed', 'failed before: m1']);
});

test('Unconfirmed is tried again by itself, twice at most, whoever made the ids', () => {
  const spec = { steps: [batch(1)], maxUnavailable: 9 };
  let status = planScene({ spec, machines: fleet(3) }).status;
  const tries: string[] = [];
  let phase = '';
  for (let minute = 0; minute < 10 && phase !== 'Failed'; minute++) {
    const attempt = { phase: 'Unconfirmed', from: closure(R1, 'm1'), finishedAt: at(minute * MINUTE) };
    const m1 = machine('m1', { ...runs('m1', R1), ...told('m1', R2, minute * MINUTE, attempt) });
    const plan = planScene({ spec, machines: [m1, ...fleet(3).slice(1)], status, now: (minute + 1) * MINUTE });
    tries.push(namesIn(plan.dispatch).join());
    ({ status, phase } = plan);
  }
  expect([tries, phase]).toEqual([['m1', 'm1', ''], 'Failed']);
});

describe('verbs', () => {
  test('retry tells the failed ones of the step again, once', () => {
    const plan = planScene({ ...broken, status: brokenStatus(), annotations: verb('retry') });
    expect([plan.phase, plan.dispatch.map(({ machine: name, reason }) => [name, reason])]).toEqual([
      'Progressing',
      [['m1', 'Retry']],
    ]);
    expect([plan.status.lastHandled, plan.status.history]).toEqual([{ retry: 'now' }, []]);
    const again = machine('m1', failed('m1', R2, 3 * MINUTE));
    const scene = {
      ...broken,
      machines: [again, ...fleet(4).slice(1)],
      status: plan.status,
      annotations: verb('retry'),
      now: 4 * MINUTE,
    };
    expect(planScene(scene)).toMatchObject({ phase: 'Failed', dispatch: [] });
  });

  test('continue accepts the failures of the step and goes on; a later failure fails again', () => {
    const plan = planScene({ ...broken, status: brokenStatus(), annotations: verb('continue') });
    expect([plan.phase, plan.step.index, namesIn(plan.dispatch)]).toEqual(['Progressing', 1, ['m2', 'm3', 'm4']]);
    const machines = [
      machine('m1', failed('m1', R2, MINUTE)),
      machine('m2', failed('m2', R2, 3 * MINUTE)),
      ...fleet(4).slice(2),
    ];
    expect(
      planScene({ ...broken, machines, status: plan.status, annotations: verb('continue'), now: 4 * MINUTE }).phase,
    ).toBe('Failed');
  });

  test('abort tells nobody new and leaves the updated ones', () => {
    const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(4).slice(1)];
    const plan = planScene({ ...broken, machines, annotations: verb('abort') });
    expect([plan.phase, plan.dispatch, plan.rollback, condition(plan, 'Stalled')?.reason]).toEqual([
      'Failed',
      [],
      [],
      'Aborted',
    ]);
    expect(plan.status.history).toMatchObject([{ outcome: 'Aborted' }]);
    const next = planScene({ ...broken, machines, status: plan.status, annotations: verb('abort'), now: 9 * MINUTE });
    expect([next.phase, next.dispatch]).toEqual(['Failed', []]);
  });

  test('retry after an abort starts anew from the first step', () => {
    const spec = { ...canary, steps: [batch(1), pause()] };
    const paused = planScene({
      ...broken,
      spec,
      machines: [machine('m1', took('m1', R2, MINUTE)), ...fleet(4).slice(1)],
    });
    const machines = [
      machine('m1', { ...failed('m1', R2, MINUTE), knownBad: [closure(R2, 'm1')] }),
      ...fleet(4).slice(1),
    ];
    const aborted = planScene({ ...broken, spec, machines, status: paused.status, annotations: verb('abort') });
    const plan = planScene({
      ...broken,
      spec,
      machines,
      status: aborted.status,
      annotations: { ...verb('abort'), ...verb('retry') },
      now: 5 * MINUTE,
    });
    expect([plan.phase, plan.step.index, plan.dispatch.length]).toEqual(['Progressing', 0, 1]);
    expect(plan.status.run).not.toBe('run1');
  });

  test('a value is handled once; verbs without anything to act on change nothing', () => {
    const handled = running({ lastHandled: { abort: 'a', retry: 'b', rollback: 'c', continue: 'd' } });
    const annotations = {
      ...verb('abort', 'a'),
      ...verb('retry', 'b'),
      ...verb('rollback', 'c'),
      ...verb('continue', 'd'),
    };
    expect(planScene({ spec: canary, machines: fleet(3), status: handled, annotations }).phase).toBe('Progressing');
    const done = running({ phase: 'Completed', stableRevision: R2 });
    const all = { ...verb('abort'), ...verb('continue'), ...verb('approve') };
    const plan = planScene({
      machines: [machine('m1', took('m1', R2, 0))],
      status: done,
      annotations: all,
      now: MINUTE,
    });
    expect([plan.phase, plan.status.lastHandled]).toEqual([
      'Completed',
      { abort: 'now', continue: 'now', approve: 'now' },
    ]);
    // On a Rollout that never ran they are of no run: nothing may strike later.
    expect(planScene({ machines: fleet(1), annotations: verb('abort') }).phase).toBe('Progressing');
  });
});

describe('a newer revision', () => {
  test('supersedes the run at once: steps start anew, machines already told finish first', () => {
    const spec = { steps: [batch(2)], maxUnavailable: 9 };
    const m1 = machine('m1', { ...runs('m1', R1), ...told('m1', R2, MINUTE, { phase: 'Testing' }, { run: 'run1' }) });
    const m2 = machine('m2', took('m2', R2, MINUTE));
    const plan = planScene({
      spec,
      machines: [m1, m2, ...fleet(4).slice(2)],
      status: running({ step: { index: 1, total: 2 } }),
      revision: R3,
      now: 2 * MINUTE,
    });
    expect([plan.phase, plan.step.index, plan.status.revision, plan.status.stableRevision]).toEqual([
      'Progressing',
      0,
      R3,
      R1,
    ]);
    expect(plan.dispatch).toHaveLength(2);
    expect(reasons(plan)['m1']).toMatch(/InProgress|LaterStep/);
    expect(namesIn(plan.dispatch)).not.toContain('m1');
    expect(plan.dispatch.every(({ closure: path }) => path.startsWith(R3))).toBe(true);
    expect(plan.status.history).toMatchObject([{ run: 'run1', outcome: 'Superseded' }]);
  });

  test('a failed run that is superseded stays in the history as failed', () => {
    const plan = planScene({ ...broken, status: brokenStatus(), revision: R3, now: 9 * MINUTE });
    expect([plan.phase, plan.dispatch.length]).toEqual(['Progressing', 1]);
    expect(plan.status.history?.map(({ outcome }) => outcome)).toEqual(['Failed']);
  });

  test('back to the stable revision: no steps, budget only', () => {
    const machines = ['m1', 'm2', 'm3'].map((name) => machine(name, took(name, R2, MINUTE)));
    const plan = planScene({
      spec: { steps: [batch(1), pause()], maxUnavailable: 2 },
      machines,
      status: running(),
      revision: R1,
      now: 2 * MINUTE,
    });
    expect([plan.phase, plan.step, plan.dispatch.length]).toEqual(['Progressing', { index: 0, total: 1 }, 2]);
    const back = machines.map(({ metadata }) => machine(metadata.name, runs(metadata.name, R1)));
    const done = planScene({
      spec: { steps: [batch(1), pause()] },
      machines: back,
      status: plan.status,
      revision: R1,
      now: 3 * MINUTE,
    });
    expect([done.phase, done.status.stableRevision]).toEqual(['Completed', R1]);
  });
});

test('a change of the steps starts them anew; who has the revision has it', () => {
  const machines = [machine('m1', took('m1', R2, MINUTE)), ...fleet(4).slice(1)];
  const paused = planScene({ ...broken, machines, spec: { ...canary, steps: [batch(1), pause()] } });
  expect(paused.phase).toBe('Paused');
  const plan = planScene({
    ...broken,
    machines,
    status: paused.status,
    spec: { ...canary, steps: [batch('50%'), pause()] },
    now: 3 * MINUTE,
  });
  expect([plan.phase, plan.step.index, plan.dispatch.length, plan.status.run]).toEqual(['Progressing', 0, 1, 'run1']);
});

describe('rollback', () => {
  const spec = { steps: [batch('100%')], maxUnavailable: 2, successThreshold: 90, onFailure: 'Rollback' as const };
  /** m1 is broken on R2, m2 took it first, m3 last, m4 rolled back by itself, m5 was never told. */
  const machines = [
    machine('m1', took('m1', R2, MINUTE, sick(90_000))),
    machine('m2', took('m2', R2, 2 * MINUTE)),
    machine('m3', took('m3', R2, 3 * MINUTE)),
    machine('m4', failed('m4', R2, MINUTE)),
    machine('m5', runs('m5', R1)),
  ];

  test('failed machines first, then updated ones, newest first, under the budget; then the run is stalled', () => {
    const start = planScene({
      spec: { ...spec, steps: [batch('100%', { soak: '1h' })] },
      machines,
      status: running(),
      now: 4 * MINUTE,
    });
    expect([
      start.phase,
      start.dispatch,
      start.rollback.map(({ machine: name, closure: path }) => [name, path]),
    ]).toEqual([
      'RollingBack',
      [],
      [
        ['m1', closure(R1, 'm1')],
        ['m3', closure(R1, 'm3')],
      ],
    ]);
    expect(reasons(start)).toMatchObject({ m2: 'BudgetFull', m4: 'Failed', m5: 'Failed' });
    expect(condition(start, 'Reconciling')?.status).toBe('True');
    const back = (name: string, phase: string) =>
      machine(name, {
        ...runs(name, R1),
        ...told(name, R1, 4 * MINUTE, { phase, from: closure(R2, name) }, { reason: 'Rollback' }),
      });
    const half = [back('m1', 'Committed'), machines[1] ?? machine('x'), back('m3', 'Testing'), ...machines.slice(3)];
    const going = planScene({ spec, machines: half, status: start.status, now: 5 * MINUTE });
    expect([going.phase, namesIn(going.rollback)]).toEqual(['RollingBack', ['m2']]);
    const all = [back('m1', 'Committed'), back('m2', 'Committed'), back('m3', 'Committed'), ...machines.slice(3)];
    const done = planScene({ spec, machines: all, status: going.status, now: 6 * MINUTE });
    expect([done.phase, done.rollback, condition(done, 'Stalled')?.reason]).toEqual(['Failed', [], 'RolledBack']);
    expect(done.status.history).toMatchObject([{ outcome: 'RolledBack' }]);
    expect(planScene({ spec, machines: all, status: done.status, now: 60 * MINUTE })).toMatchObject({
      phase: 'Failed',
      dispatch: [],
      rollback: [],
    });
  });

  test('without a stable revision each returns to what it ran before', () => {
    const { stableRevision: _, ...status } = running();
    const plan = planScene({
      spec,
      machines: machines.slice(1),
      status,
      annotations: verb('rollback'),
      now: 4 * MINUTE,
    });
    expect(plan.rollback.map(({ machine: name, closure: path }) => [name, path])).toEqual([
      ['m3', closure(R1, 'm3')],
      ['m2', closure(R1, 'm2')],
    ]);
  });

  test('a canary that rolled back by itself leaves nothing to return', () => {
    const plan = planScene({ ...broken, spec: { ...canary, onFailure: 'Rollback' } });
    expect([plan.phase, plan.rollback, plan.status.stopped?.reason]).toEqual(['Failed', [], 'RolledBack']);
    expect(condition(plan, 'Ready')?.message).toBe(
      'rolled back; m1: hello.service failed (exit 1), rolled back to 1111111',
    );
  });

  test('who is off returns when it is back, and holds nobody up', () => {
    const gone = [machine('m1', took('m1', R2, MINUTE, off(2 * MINUTE))), ...fleet(3).slice(1)];
    const plan = planScene({ spec, machines: gone, status: running(), annotations: verb('rollback'), now: 4 * MINUTE });
    expect([plan.phase, plan.rollback, reasons(plan)['m1']]).toEqual(['Failed', [], 'Offline']);
    const back = [machine('m1', took('m1', R2, MINUTE)), ...fleet(3).slice(1)];
    expect(namesIn(planScene({ spec, machines: back, status: plan.status, now: 5 * MINUTE }).rollback)).toEqual(['m1']);
  });

  test('by verb after the run has completed: back to the revision before, which is the stable one then', () => {
    const history = [R2, R1].map((revision, i) => ({
      run: `r${i}`,
      revision,
      outcome: 'Completed' as const,
      startedAt: at(0),
      endedAt: at(0),
    }));
    const status = running({ phase: 'Completed', stableRevision: R2, history });
    const plan = planScene({
      spec,
      machines: machines.slice(1, 3),
      status,
      annotations: verb('rollback'),
      now: 4 * MINUTE,
    });
    expect([plan.phase, plan.status.stableRevision, namesIn(plan.rollback)]).toEqual(['RollingBack', R1, ['m2', 'm3']]);
  });

  test('an abort ends it; retry after it starts a new run', () => {
    const start = planScene({
      spec,
      machines: machines.slice(1),
      status: running(),
      annotations: verb('rollback'),
      now: 4 * MINUTE,
    });
    const aborted = planScene({
      spec,
      machines: machines.slice(1),
      status: start.status,
      annotations: { ...verb('rollback'), ...verb('abort') },
      now: 5 * MINUTE,
    });
    expect([aborted.phase, aborted.rollback, aborted.status.stopped?.reason]).toEqual(['Failed', [], 'Aborted']);
    const retried = planScene({
      spec,
      machines: machines.slice(1),
      status: aborted.status,
      annotations: { ...verb('rollback'), ...verb('abort'), ...verb('retry') },
      now: 6 * MINUTE,
    });
    expect([retried.phase, namesIn(retried.dispatch)]).toEqual(['Progressing', ['m4', 'm5']]);
  });
});

test('offline Skip: who is told again gets its go at once, and keeps its place in the batch', () => {
  const spec = { steps: [batch(1)], maxUnavailable: 9, offline: 'Skip' as const };
  const first = planScene({ spec, machines: fleet(3) });
  const m1 = machine('m1', failed('m1', R2, 0, 'Unconfirmed'));
  const plan = planScene({ spec, machines: [m1, ...fleet(3).slice(1)], status: first.status, now: MINUTE });
  expect([namesIn(plan.dispatch), plan.fetch]).toEqual([['m1'], []]);
});
