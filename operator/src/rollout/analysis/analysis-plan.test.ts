// Tests of analysis in the planner: a step, the background, the built-in check, and what people answer.
import type { AnalysisStep } from '@floe/crds/analysis';
import type { RolloutSpec, RolloutStatus } from '@floe/crds/rollout';
import { expect, test } from 'vitest';
import type { Plan } from '../plan-result.ts';
import {
  at,
  batch,
  failed,
  fleet,
  MINUTE,
  machine,
  namesIn,
  pause,
  planScene,
  R1,
  R2,
  reasons,
  running,
  runs,
  sick,
  T0,
  took,
} from '../rollout.fixture.ts';
import type { Measured, Measurement } from './memory.ts';

const prometheus = { address: 'http://prometheus:9090', query: 'up{instance=~"{{machines}}"}' };
const analysis = (more: Omit<AnalysisStep, 'prometheus'> = {}) => ({ analysis: { prometheus, ...more } });

/** m1 has R2, m2 to m4 have R1. */
const machines = [machine('m1', took('m1', R2, 0)), ...fleet(4).slice(1)];
const steps = [batch(1), analysis({ count: 2, interval: '1m', successCondition: 'result < 1' })];

type Look = {
  readonly spec?: Partial<RolloutSpec>;
  readonly now?: number;
  readonly results?: readonly Measurement['result'][];
  readonly annotations?: Record<string, string>;
  readonly machines?: Parameters<typeof planScene>[0]['machines'];
};

/** Plans, with results for what the plan before asked to be measured. */
function look(before: Plan | RolloutStatus | undefined, options: Look = {}): Plan {
  const planned = before !== undefined && 'dispatch' in before ? before : undefined;
  const status = planned === undefined ? (before as RolloutStatus | undefined) : planned.status;
  const { now = 0, results = [], spec = { steps }, annotations } = options;
  const measured = (planned?.measure ?? []).flatMap(
    ({ run, scope, index, startedAt, number, rules }, i): Measured[] => {
      const result = results[i];
      const measurement = { result, value: '0.5', at: T0 + now, message: result === 'Successful' ? undefined : 'why' };
      return result === undefined
        ? []
        : [{ run, scope, index, startedAt, number, metric: rules.name, measurement: measurement as Measurement }];
    },
  );
  return planScene({
    spec,
    machines: options.machines ?? machines,
    now,
    snapshot: { measured },
    ...(status === undefined ? {} : { status }),
    ...(annotations === undefined ? {} : { annotations }),
  });
}

const atStep = (index: number, more: RolloutStatus = {}): RolloutStatus =>
  running({ step: { index, total: 3, startedAt: at(1000) }, ...more });

test('the step counts as one, everyone waits for it, and it is measured', () => {
  const plan = look(atStep(1), { now: 2000 });
  expect(plan).toMatchObject({ phase: 'Progressing', step: { index: 1, total: 3 }, dispatch: [] });
  expect(reasons(plan)).toEqual({ m2: 'WaitingForAnalysis', m3: 'WaitingForAnalysis', m4: 'WaitingForAnalysis' });
  expect(plan.measure).toHaveLength(1);
  expect(plan.measure[0]).toMatchObject({ number: 0, scope: 'step', rules: { name: 'prometheus' } });
  expect(plan.measure[0]?.variables).toMatchObject({
    machines: ['m1'],
    control: ['m2', 'm3', 'm4'],
    revision: R2,
    stableRevision: R1,
    rollout: 'web',
    namespace: 'shop',
  });
  expect(plan.nextCheck).toBe(at(2000 + 30_000));
});

test('a batch that ends goes over into the analysis, and success goes on', () => {
  const begun = look(running({ step: { index: 0, total: 3, startedAt: at(-1000), toldBefore: 0, size: 1 } }), {
    now: 2000,
  });
  expect(begun.step.index).toBe(1);
  const first = look(begun, { now: 3000, results: ['Successful'] });
  expect(first).toMatchObject({ step: { index: 1 }, measure: [], nextCheck: at(63_000) });
  expect(first.conditions[0]?.message).toContain('prometheus 1/2');
  const due = look(first.status, { now: 63_000 });
  expect(due.measure[0]?.number).toBe(1);
  const done = look(due, { now: 64_000, results: ['Successful'] });
  expect(done.step.index).toBe(2);
  expect(namesIn(done.dispatch)).toEqual(expect.arrayContaining([expect.stringMatching(/^m[234]$/)]));
  expect(done.status.analysis?.step).toMatchObject({ index: 1, phase: 'Successful' });
});

test('without results the same measurement stays due, and what is known is not counted twice', () => {
  const plan = look(atStep(1), { now: 2000 });
  const again = look(plan.status, { now: 9000 });
  expect(again.measure).toEqual(plan.measure);
  const counted = look(plan, { now: 9000, results: ['Successful'] });
  const twice = look({ ...plan, status: counted.status }, { now: 9500, results: ['Successful'] });
  expect(twice.status.analysis).toEqual(counted.status.analysis);
});

test.each<[RolloutSpec['onFailure'], string, number]>([
  ['Pause', 'Failed', 1],
  ['Rollback', 'RollingBack', 1],
  ['Continue', 'Progressing', 2],
])('failed: onFailure %s', (onFailure, phase, index) => {
  const spec: Partial<RolloutSpec> = { steps, ...(onFailure === undefined ? {} : { onFailure }) };
  const plan = look(look(atStep(1), { now: 2000, spec }), { now: 3000, results: ['Failed'], spec });
  expect(plan).toMatchObject({ phase, step: { index } });
  expect(plan.status.analysis).toMatchObject({ cause: 'analysis prometheus failed: 0.5 (why)' });
  if (onFailure === 'Pause') expect(plan.status.stopped?.message).toBe('analysis prometheus failed: 0.5 (why)');
  if (onFailure === 'Rollback') expect(namesIn(plan.rollback)).toEqual(['m1']);
});

test('after the rollback the run says for what it was taken back', () => {
  const spec = { steps, onFailure: 'Rollback' as const };
  const plan = look(look(atStep(1), { now: 2000, spec }), { now: 3000, results: ['Failed'], spec });
  const [order] = plan.rollback;
  const back = machine('m1', {
    ...runs('m1', R1),
    desired: {
      id: order?.id ?? '',
      sequence: 2,
      revision: R1,
      closure: `${R1}/m1`,
      rollout: 'web',
      run: plan.status.run ?? '',
      reason: 'Rollback',
      go: true,
      since: at(3000),
    },
    attempt: { desiredId: order?.id ?? '', to: `${R1}/m1`, phase: 'Committed', finishedAt: at(4000) },
  });
  const ended = look(plan.status, { now: 5000, spec, machines: [back, ...machines.slice(1)] });
  expect(ended).toMatchObject({ phase: 'Failed', status: { stopped: { reason: 'RolledBack' } } });
  expect(ended.status.stopped?.message).toContain('analysis prometheus failed');
});

test('five errors in a row fail it; each is measured again after 10 s', () => {
  let plan = look(atStep(1), { now: 2000 });
  for (let i = 0; i < 5; i++) {
    const now = 2000 + i * 10_000;
    plan = look(look(plan.status, { now }), { now, results: ['Error'] });
    if (i < 4) expect(plan).toMatchObject({ phase: 'Progressing', nextCheck: at(now + 10_000) });
  }
  expect(plan.status.stopped?.message).toBe('analysis prometheus could not be measured: 0.5 (why)');
});

test('inconclusive waits for a person, and nothing is measured meanwhile', () => {
  const plan = look(look(atStep(1), { now: 2000 }), { now: 3000, results: ['Inconclusive'] });
  expect(plan).toMatchObject({ phase: 'Paused', measure: [], step: { index: 1 } });
  expect(reasons(plan)['m2']).toBe('WaitingForAnalysis');
  expect(plan.conditions.find(({ type }) => type === 'Ready')).toMatchObject({ reason: 'Inconclusive' });
  expect(plan.conditions[0]?.message).toContain('kubectl floe continue, retry or abort web -n shop');
  expect(plan.conditions.find(({ type }) => type === 'Stalled')?.status).toBe('False');

  const goesOn = look(plan.status, { now: 4000, annotations: { 'floe.dev/continue': '1' } });
  expect(goesOn.step.index).toBe(2);
  expect(look(plan.status, { now: 63_000, annotations: { 'floe.dev/continue': '1' } }).status.pausedSeconds).toBe(60);
  const anew = look(plan.status, { now: 4000, annotations: { 'floe.dev/retry': '1' } });
  expect(anew).toMatchObject({ phase: 'Progressing', step: { index: 1 } });
  expect(anew.measure[0]).toMatchObject({ number: 0, startedAt: T0 + 4000 });
  const aborted = look(plan.status, { now: 4000, annotations: { 'floe.dev/abort': '1' } });
  expect(aborted).toMatchObject({ phase: 'Failed', status: { stopped: { reason: 'Aborted' } } });
});

test('continue and retry answer a failed analysis, too', () => {
  const plan = look(look(atStep(1), { now: 2000 }), { now: 3000, results: ['Failed'] });
  const goesOn = look(plan.status, { now: 4000, annotations: { 'floe.dev/continue': '1' } });
  expect(goesOn).toMatchObject({ phase: 'Progressing', step: { index: 2 } });
  expect(goesOn.status.analysis?.cause).toBeUndefined();
  const anew = look(plan.status, { now: 4000, annotations: { 'floe.dev/retry': '1' } });
  expect(anew).toMatchObject({ phase: 'Progressing', step: { index: 1 } });
  expect(anew.measure[0]?.number).toBe(0);
});

test('a dry run is waited for and changes nothing', () => {
  const spec = { steps: [batch(1), analysis({ dryRun: true })] };
  const plan = look(atStep(1), { now: 2000, spec });
  expect(plan.measure).toHaveLength(1);
  expect(look(plan, { now: 3000, results: ['Failed'], spec })).toMatchObject({
    phase: 'Progressing',
    step: { index: 2 },
  });
});

test('several metrics: the worst counts', () => {
  const metrics = ['a', 'b'].map((name) => ({ name, prometheus }));
  const spec = { steps: [batch(1), { analysis: { metrics } }] };
  const plan = look(atStep(1), { now: 2000, spec });
  expect(plan.measure.map(({ rules }) => rules.name)).toEqual(['a', 'b']);
  expect(look(plan, { now: 3000, results: ['Successful'], spec })).toMatchObject({ step: { index: 1 } });
  expect(look(plan, { now: 3000, results: ['Inconclusive', 'Failed'], spec }).status.stopped?.message).toContain(
    'analysis b failed',
  );
  expect(look(plan, { now: 3000, results: ['Successful', 'Inconclusive'], spec }).phase).toBe('Paused');
});

const background: Partial<RolloutSpec> = {
  steps: [batch(1), pause(), batch('100%')],
  analysis: { prometheus, interval: '1m', startingStep: 1 },
};

test('the background begins at its step, runs through the others and ends with the run', () => {
  const first = running({ step: { index: 0, total: 3, startedAt: at(-1000), toldBefore: 0, size: 1 } });
  expect(look(first, { spec: background, machines: fleet(4) }).measure).toEqual([]);
  const plan = look(atStep(1), { now: 2000, spec: background });
  expect(plan).toMatchObject({ phase: 'Paused', measure: [{ scope: 'background', startedAt: T0 + 2000 }] });
  const measured = look(plan, { now: 3000, results: ['Successful'], spec: background });
  expect(measured).toMatchObject({ phase: 'Paused', nextCheck: at(63_000) });
  const all = ['m1', 'm2', 'm3', 'm4'].map((name) => machine(name, took(name, R2, 5000)));
  const end = { ...measured.status, step: { index: 2, total: 3, startedAt: at(4000), toldBefore: 1 } };
  const done = look(end, { now: 70_000, spec: background, machines: all });
  expect(done).toMatchObject({ phase: 'Completed', measure: [] });
});

test('the background fails the run at any time, and holds it where it is inconclusive', () => {
  const due = look(atStep(2), { now: 2000, spec: background });
  expect(due.measure).toHaveLength(1);
  expect(look(due, { now: 3000, results: ['Failed'], spec: background })).toMatchObject({
    phase: 'Failed',
    dispatch: [],
  });
  const rollback = { ...background, onFailure: 'Rollback' as const };
  expect(look(due, { now: 3000, results: ['Failed'], spec: rollback })).toMatchObject({ phase: 'RollingBack' });
  const held = look(due, { now: 3000, results: ['Inconclusive'], spec: background });
  expect(held).toMatchObject({ phase: 'Paused', dispatch: [], measure: [] });
  expect(reasons(held)['m3']).toBe('WaitingForAnalysis');
  const goesOn = look(held.status, { now: 4000, spec: background, annotations: { 'floe.dev/continue': '1' } });
  expect(goesOn).toMatchObject({ phase: 'Progressing', step: { index: 2 } });
  expect(goesOn.measure[0]).toMatchObject({ scope: 'background', number: 0, startedAt: T0 + 4000 });
});

test('with Continue what fails beside a step holds up nobody, and its cause is kept', () => {
  const spec: Partial<RolloutSpec> = { steps, onFailure: 'Continue', analysis: { prometheus, interval: '1m' } };
  const due = look(atStep(1), { now: 2000, spec });
  expect(due.measure.map(({ scope }) => scope)).toEqual(['step', 'background']);
  const failing = look(due, { now: 3000, results: ['Successful', 'Failed'], spec });
  expect(failing).toMatchObject({ phase: 'Progressing', step: { index: 1 }, measure: [], nextCheck: at(63_000) });
  expect(failing.status.analysis?.cause).toContain('prometheus failed');
  const done = look(look(failing.status, { now: 63_000, spec }), { now: 64_000, results: ['Successful'], spec });
  expect(done.step.index).toBe(2);
  const bad = look(atStep(1), { now: 6 * MINUTE, spec, machines: turnedBad });
  expect(bad).toMatchObject({ phase: 'Progressing', status: { analysis: { cause: expect.stringContaining('m1: ') } } });
});

test('who promotes the run leaves all analysis behind', () => {
  const annotations = { 'floe.dev/promote': '1' };
  const plan = look(atStep(1), { now: 2000, annotations, spec: { steps, analysis: { prometheus } } });
  expect(plan).toMatchObject({ phase: 'Progressing', step: { index: 2 }, measure: [] });
  const held = look(look(atStep(2), { now: 2000, spec: background }), {
    now: 3000,
    results: ['Inconclusive'],
    spec: background,
  });
  const promoted = look(held.status, { now: 4000, spec: background, annotations });
  expect(promoted).toMatchObject({ phase: 'Progressing', measure: [] });
});

test('a batch that fails while the background is inconclusive has failed', () => {
  const due = look(atStep(2), { now: 2000, spec: background });
  const broken = [...machines.slice(0, 3), machine('m4', failed('m4', R2, 2500))];
  const plan = look(due, { now: 3000, results: ['Inconclusive'], spec: background, machines: broken });
  expect(plan).toMatchObject({ phase: 'Failed', status: { stopped: { reason: 'Failed' } } });
});

const turnedBad = [machine('m1', took('m1', R2, 0, sick(5 * MINUTE))), ...fleet(4).slice(1)];

test.each<[string, Partial<RolloutSpec>, string]>([
  ['an analysis step', { steps }, 'Failed'],
  ['an analysis step without it', { steps, analysis: { builtIn: false } }, 'Progressing'],
  ['a pause', { steps: [batch(1), pause()] }, 'Paused'],
  ['a pause with spec.analysis', { steps: [batch(1), pause()], analysis: {} }, 'Failed'],
  ['a pause before its step', { steps: [batch(1), pause()], analysis: { startingStep: 2 } }, 'Paused'],
  ['a step with a threshold that allows it', { steps, successThreshold: 0 }, 'Progressing'],
])('built in: a machine that turns bad after its update, in %s', (_, spec, phase) => {
  const plan = look(atStep(1), { now: 6 * MINUTE, spec, machines: turnedBad });
  expect(plan.phase).toBe(phase);
  if (phase === 'Failed') expect(plan.status.stopped?.message).toBe('m1: hello.service failed 5 min after its update');
});

test('built in: a person may accept it; what turns bad later fails the run again', () => {
  const plan = look(atStep(1), { now: 6 * MINUTE, machines: turnedBad });
  const goesOn = look(plan.status, { now: 7 * MINUTE, machines: turnedBad, annotations: { 'floe.dev/continue': '1' } });
  expect(goesOn).toMatchObject({ phase: 'Progressing', step: { index: 1 } });
  const later = [machine('m1', took('m1', R2, 0, sick(8 * MINUTE))), ...fleet(4).slice(1)];
  expect(
    look(goesOn.status, { now: 9 * MINUTE, machines: later, annotations: { 'floe.dev/continue': '1' } }).phase,
  ).toBe('Failed');
});

test.each([
  [2, 5 * MINUTE, 'Progressing'],
  [3, 5 * MINUTE, 'Failed'],
  [3, 15 * MINUTE, 'Progressing'],
])('built in: a machine that came back %i times, last %i ms after its update', (count, since, phase) => {
  const status = took('m1', R2, 0);
  const comebacks = { desiredId: status.attempt?.desiredId ?? '', count };
  const flapping = machine('m1', { ...status, connection: { online: true, since: at(since), comebacks } });
  const plan = look(atStep(1), { now: 20 * MINUTE, machines: [flapping, ...fleet(4).slice(1)] });
  expect(plan.phase).toBe(phase);
});

test.each([
  [5 * MINUTE, 'Failed'],
  [20 * MINUTE, 'Progressing'],
])(
  'built in: comebacks of which only the day is known count while they can only be soon after its update: %i ms',
  (now, phase) => {
    const status = took('m1', R2, 0);
    const comebacks = { desiredId: status.attempt?.desiredId ?? '', count: 3 };
    const connection = { online: true, since: '2026-03-01T00:00:00Z', comebacks };
    const flapping = machine('m1', { ...status, connection }, { presence: 'Coarse' });
    expect(look(atStep(1), { now, machines: [flapping, ...fleet(4).slice(1)] }).phase).toBe(phase);
  },
);

test('built in: one that turns bad in the very second of its commit did so by its update', () => {
  const status = took('m1', R2, 1600, sick(1000));
  const all = [machine('m1', status), ...fleet(4).slice(1)];
  expect(look(atStep(1), { now: 6 * MINUTE, machines: all }).phase).toBe('Failed');
});

test('built in: one that was sick before its update, or failed it, does not count here', () => {
  const before = [machine('m1', took('m1', R2, 0, sick(-MINUTE))), ...fleet(4).slice(1)];
  expect(look(atStep(1), { now: 6 * MINUTE, machines: before }).phase).toBe('Progressing');
});

test.each([
  ['spec.steps[1].analysis', { analysis: {} }, 'exactly one of prometheus, http, job, metrics'],
  [
    'spec.steps[1].analysis.successCondition',
    analysis({ successCondition: 'result[0] < ' }),
    'at character 13: a value is expected at the end',
  ],
  ['spec.steps[1].analysis.http.url', { analysis: { http: { url: 'http://me:pw@host' } } }, 'put them into a Secret'],
  [
    'spec.steps[1].analysis.metrics[1].name',
    {
      analysis: {
        metrics: [
          { name: 'a', prometheus },
          { name: 'a', prometheus },
        ],
      },
    },
    'there twice',
  ],
  ['spec.steps[1].analysis.job.spec.template', { analysis: { job: { spec: {} } } }, 'at least one container'],
])('a wrong %s is refused with a remedy', (field, step, message) => {
  const plan = look(undefined, { spec: { steps: [batch(1), step] } });
  expect(plan.conditions[0]).toMatchObject({ reason: 'InvalidSpec' });
  expect(plan.conditions[0]?.message).toContain(field);
  expect(plan.conditions[0]?.message).toContain(message);
});
