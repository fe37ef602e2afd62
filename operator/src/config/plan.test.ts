import { verbAnnotation } from '@floe/crds/constants';
import type { NixConfigStatus } from '@floe/crds/nix-config';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kstatusOf } from '../conditions/kstatus.fixture.ts';
import { CLOSURE, config, job, looked, machine, NOW, pod, record, revisionOf, snapshot } from './config.fixture.ts';
import { type Plan, planConfig } from './plan.ts';
import { sourceKey } from './revision-id.ts';
import type { Snapshot } from './snapshot.ts';

const REVISION = revisionOf(config());
const JOB = job(`web-${REVISION}`, REVISION);
const complete = {
  conditions: [{ type: 'Complete', status: 'True' as const }],
  completionTime: '2026-01-01T11:59:59Z',
};
const failed = (reason = 'BackoffLimitExceeded') => ({
  conditions: [{ type: 'Failed', status: 'True' as const, reason, lastTransitionTime: '2026-01-01T11:59:59Z' }],
});
const machines = ['m1', 'm2', 'm3'].map((name) => machine(name));
const closures = { m1: CLOSURE('m1'), m2: CLOSURE('m2'), m3: CLOSURE('m3') };
const built = record(JOB, REVISION, { machines: closures });

const conditionOf = (plan: Plan, type: string) => plan.status.conditions?.find((condition) => condition.type === type);
const requested = (plan: Plan) => plan.create?.machines.map(({ name }) => name);

/** The plan of a config that has gone through a plan before: with the status that it left. */
function after(first: Snapshot, more: Partial<Snapshot> = {}): Plan {
  const { status } = planConfig(first, NOW);
  return planConfig({ ...first, ...more, config: { ...first.config, status } }, NOW);
}

describe('where it stands', () => {
  test('nothing known yet: it looks', () => {
    const plan = planConfig(snapshot(config(), { source: { looking: false, failures: 0 } }), NOW);
    expect(plan).toMatchObject({
      look: true,
      create: undefined,
      reason: 'Resolving',
      status: { build: { phase: 'Resolving' } },
    });
    expect(conditionOf(plan, 'Reconciling')?.status).toBe('True');
  });

  test.each([
    [
      'suspended and built',
      { suspend: true },
      { revision: { id: 'r1', source: 'main', builtAt: 't' } },
      'Suspended',
      'Current',
    ],
    ['suspended before it was built', { suspend: true }, {}, 'Suspended', 'InProgress'],
    ['named by no machine', {}, {}, 'NoMachines', 'Current'],
  ] as const)('%s, it says why it is at rest', (_, spec, status, type, wanted) => {
    const of = snapshot(config(spec, { status }));
    const plan = planConfig(of, NOW);
    expect(conditionOf(plan, type)?.status).toBe('True');
    expect(kstatusOf({ ...of.config, status: plan.status })).toBe(wanted);
    // Gone as soon as it goes on.
    const { suspend: _s, ...open } = of.config.spec;
    const next = planConfig({ ...of, machines, config: { ...of.config, spec: open, status: plan.status } }, NOW);
    expect(conditionOf(next, type)).toBeUndefined();
  });

  test('no machines: nothing to build, and it says so', () => {
    const plan = planConfig(snapshot(config()), NOW);
    expect(plan).toMatchObject({ create: undefined, prepare: false, reason: 'NoMachines' });
  });

  test('machines without closures: one Job for all of them', () => {
    const plan = planConfig(snapshot(config(), { machines }), NOW);
    expect(plan.create).toMatchObject({ job: `web-${REVISION}`, revision: REVISION });
    expect(requested(plan)).toEqual(['m1', 'm2', 'm3']);
    expect(plan.status.build).toMatchObject({ phase: 'Fetching', revision: REVISION, job: `web-${REVISION}` });
    expect(plan.events.map(({ reason }) => reason)).toEqual(['SourceChanged', 'BuildStarted']);
  });

  test('before a Job starts, what it needs is made sure of', () => {
    const plan = planConfig(snapshot(config(), { machines, preparation: { kind: 'unknown' } }), NOW);
    expect(plan).toMatchObject({ prepare: true, create: undefined });
  });

  test('what a Job needs is missing: no Job, and the field', () => {
    const problem = {
      reason: 'SecretMissing',
      field: 'spec.source.git.secretRef.name',
      message: 'there is no Secret x',
      remedy: 'create it',
      transient: true,
    };
    const plan = planConfig(snapshot(config(), { machines, preparation: { kind: 'problem', problem } }), NOW);
    expect(plan.create).toBeUndefined();
    expect(conditionOf(plan, 'Ready')).toMatchObject({
      reason: 'SecretMissing',
      message: 'spec.source.git.secretRef.name: there is no Secret x; create it',
    });
    expect(plan.nextCheckSeconds).toBe(15);
  });

  test('machines that are applied one after the other share a Job', () => {
    const createdAt = '2026-01-01T11:59:59.500Z';
    const young = [...machines, machine('m4', { createdAt })];
    expect(planConfig(snapshot(config(), { machines: young }), NOW)).toMatchObject({
      create: { job: `web-${REVISION}` },
    });
    const all = ['m1', 'm2'].map((name) => machine(name, { createdAt }));
    expect(planConfig(snapshot(config(), { machines: all }), NOW)).toMatchObject({
      create: undefined,
      reason: 'Building',
      nextCheckSeconds: 2,
    });
  });

  test('a Job runs: progress, no second one', () => {
    const progress = new Map([
      [JOB.metadata.name, { floe: 'progress' as const, phase: 'Evaluating' as const, evaluated: 1, total: 3 }],
    ]);
    const pods = [pod(JOB, { phase: 'Running' })];
    const plan = planConfig(snapshot(config(), { machines, jobs: [JOB], pods, progress }), NOW);
    expect(plan).toMatchObject({
      create: undefined,
      remove: [],
      status: { build: { phase: 'Evaluating', evaluated: 1, total: 3 } },
    });
    expect(conditionOf(plan, 'Ready')).toMatchObject({
      status: 'False',
      message: expect.stringContaining('evaluated 1 of 3 machines (inline@'),
    });
    expect(plan.nextCheckSeconds).toBeGreaterThan(0);
  });

  test('built: ready, the revision moves, the Job goes', () => {
    const plan = planConfig(
      snapshot(config(), { machines, jobs: [{ ...JOB, status: complete }], records: [built] }),
      NOW,
    );
    expect(conditionOf(plan, 'Ready')).toMatchObject({
      status: 'True',
      reason: 'Built',
      message: 'built in 41 s, 3 closures, 212 MiB',
    });
    expect(plan.status).toMatchObject({
      revision: { id: REVISION },
      machines: { total: 3, built: 3, failed: 0, ready: '3/3' },
      build: { phase: 'Built' },
      history: [{ id: REVISION, closures: 3 }],
    });
    expect(plan.remove).toEqual([{ name: JOB.metadata.name, uid: JOB.metadata.uid, why: 'ended' }]);
  });

  test('built and settled: nothing is done and nothing is written', () => {
    const first = snapshot(config(), { machines, records: [built] });
    const plan = after(first);
    expect(plan).toMatchObject({
      look: false,
      prepare: false,
      create: undefined,
      remove: [],
      prune: [],
      orders: [],
      events: [],
    });
    expect(plan.status).toEqual(planConfig(first, NOW).status);
  });

  test('the Job ended well and its record is not seen yet: it waits, then counts it as lost', () => {
    const of = (endedAt: string) =>
      planConfig(
        snapshot(config(), { machines, jobs: [{ ...JOB, status: { ...complete, completionTime: endedAt } }] }),
        NOW,
      );
    expect(of('2026-01-01T11:59:59Z')).toMatchObject({ create: undefined, remove: [], reason: 'Building' });
    const lost = of('2026-01-01T11:57:00Z');
    expect(lost).toMatchObject({ reason: 'ResultLost', status: { build: { phase: 'Failed', attempts: 1 } } });
    expect(lost.remove).toHaveLength(1);
  });

  test('one machine fails: the others are built, and the first line of Nix is the message', () => {
    const failures = {
      m2: { stage: 'Evaluation' as const, message: "The option `x' does not exist\n  at flake.nix:3" },
    };
    const records = [record(JOB, REVISION, { machines: { m1: CLOSURE('m1'), m3: CLOSURE('m3') }, failures })];
    const plan = planConfig(snapshot(config(), { machines, records }), NOW);
    expect(conditionOf(plan, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'EvaluationFailed',
      message: "m2: The option `x' does not exist",
    });
    expect(conditionOf(plan, 'Stalled')?.status).toBe('True');
    expect(plan.status).toMatchObject({
      revision: { id: REVISION },
      machines: { total: 3, built: 2, failed: 1, ready: '2/3' },
      failures: [{ machine: 'm2' }],
    });
    expect(plan.create).toBeUndefined();
  });

  test('nobody could be built: the revision that works stays the newest', () => {
    const status: NixConfigStatus = { revision: { id: 'old', source: 'main@1', builtAt: '2026-01-01T10:00:00Z' } };
    const failures = Object.fromEntries(
      machines.map(({ metadata }) => [metadata.name, { stage: 'Build' as const, message: 'no' }]),
    );
    const plan = planConfig(
      snapshot(config({}, { status }), { machines, records: [record(JOB, REVISION, { failures })] }),
      NOW,
    );
    expect(plan.status.revision?.id).toBe('old');
    expect(conditionOf(plan, 'Ready')).toMatchObject({
      reason: 'BuildFailed',
      message: 'm1: no; 2 of 3 more failed, see status.failures',
    });
  });

  test('a label that the attribute needs is missing: said of that machine, without a Job for it', () => {
    const of = config({ attribute: 'hosts.{label:role}' });
    const some = [machine('m1', { labels: { role: 'web' } }), machine('m2')];
    const plan = planConfig(snapshot(of, { machines: some }), NOW);
    expect(plan.create?.machines).toEqual([{ name: 'm1', attribute: 'hosts.web' }]);
    expect(plan.status.failures).toEqual([
      { machine: 'm2', stage: 'Evaluation', message: expect.stringContaining('no label role') },
    ]);
  });

  test('suspended: nothing is looked at, the Job goes', () => {
    const plan = planConfig(
      snapshot(config({ suspend: true }), { machines, jobs: [JOB], source: { looking: false, failures: 0 } }),
      NOW,
    );
    expect(plan).toMatchObject({
      look: false,
      create: undefined,
      reason: 'Suspended',
      remove: [{ why: 'suspended' }],
      nextCheckSeconds: undefined,
    });
  });

  test('a wrong manifest: the field, and nothing is touched', () => {
    const plan = planConfig(snapshot(config({ source: {} }), { machines, jobs: [JOB] }), NOW);
    expect(plan).toMatchObject({ look: false, create: undefined, remove: [], reason: 'InvalidSpec' });
    expect(conditionOf(plan, 'Stalled')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('spec.source: '),
    });
  });
});

describe('what changes', () => {
  test('a newer revision ends the Job of the older one and starts its own', () => {
    const plan = planConfig(snapshot(config(), { machines, jobs: [job('web-old', 'old')] }), NOW);
    expect(plan.remove).toEqual([{ name: 'web-old', uid: 'uid-web-old', why: 'superseded' }]);
    expect(plan.create?.revision).toBe(REVISION);
  });

  test('back to a revision that is recorded: no Job', () => {
    const status: NixConfigStatus = {
      revision: { id: 'new', source: 'main@2', builtAt: '2026-01-01T10:00:00Z' },
      build: { phase: 'Built', revision: 'new' },
    };
    const plan = planConfig(snapshot(config({}, { status }), { machines, records: [built] }), NOW);
    expect(plan).toMatchObject({ create: undefined, prepare: false, status: { revision: { id: REVISION } } });
  });

  test('a machine that joins is built alone, under a name of its own, while the revision stays', () => {
    const first = snapshot(config(), { machines, records: [built] });
    const plan = after(first, { machines: [...machines, machine('m4')] });
    expect(requested(plan)).toEqual(['m4']);
    expect(plan.create?.job).not.toBe(JOB.metadata.name);
    expect(plan.status.revision?.id).toBe(REVISION);
  });

  test('a machine that joins while the first build runs holds up nobody', () => {
    const joined = machine('m4', { createdAt: '2026-01-01T11:59:50Z' });
    const plan = planConfig(
      snapshot(config(), { machines: [...machines, joined], records: [built], jobs: [{ ...JOB, status: complete }] }),
      NOW,
    );
    expect(plan.status.revision?.id).toBe(REVISION);
    expect(requested(plan)).toEqual(['m4']);
  });

  test.each([
    ['its host name changes', machine('m2', { spec: { hostName: 'other' } }), '{machine}'],
    ['its label changes', machine('m2', { labels: { role: 'db' } }), '{label:role}'],
  ])('a machine is built anew alone when %s', (_, changed, placeholder) => {
    const of = config({ attribute: `hosts.${placeholder}` });
    const revision = revisionOf(of);
    const first = job(`web-${revision}`, revision);
    const labelled = machines.map(({ metadata }) => machine(metadata.name, { labels: { role: 'web' } }));
    const attributes =
      placeholder === '{machine}' ? {} : { attributes: { m1: 'hosts.web', m2: 'hosts.web', m3: 'hosts.web' } };
    const records = [record(first, revision, { machines: closures, ...attributes })];
    expect(planConfig(snapshot(of, { machines: labelled, records }), NOW).create).toBeUndefined();
    const plan = planConfig(snapshot(of, { machines: labelled.with(1, changed), records }), NOW);
    expect(requested(plan)).toEqual(['m2']);
  });

  test('without a placeholder a machine that joins has the closure of all', () => {
    const of = config({ attribute: 'nixosConfigurations.kiosk' });
    const revision = revisionOf(of);
    const records = [record(job(`web-${revision}`, revision), revision, { default: CLOSURE('kiosk') })];
    const plan = planConfig(snapshot(of, { machines: [...machines, machine('m4')], records }), NOW);
    expect(plan).toMatchObject({ create: undefined, status: { machines: { ready: '4/4' } } });
  });
});

describe('a Job that fails', () => {
  const pods = (of: typeof JOB, container: string, terminated: object) => [
    pod(of, {
      initContainerStatuses: [
        { name: container, ready: false, restartCount: 0, state: { terminated: { exitCode: 1, ...terminated } } },
      ],
    }),
  ];
  const plan = (container: string, terminated: object, status = failed()) =>
    planConfig(
      snapshot(config(), { machines, jobs: [{ ...JOB, status }], pods: pods(JOB, container, terminated) }),
      NOW,
    );
  const said = (error: string, field?: string) => ({ message: JSON.stringify({ error, ...(field && { field }) }) });

  test.each([
    [
      'a server that is away is tried again',
      'fetch',
      said('git.example does not answer', 'spec.source.git.url'),
      'FetchFailed',
      true,
    ],
    ['a cache that is full is tried again', 'push', said('the cache is full'), 'PushFailed', true],
    [
      'what the spec says wrong waits for a change',
      'build',
      said('no attribute x', 'spec.attribute'),
      'BuildFailed',
      false,
    ],
    ['a disk that is full is tried again', 'build', said('no space left on device'), 'BuildFailed', true],
    ['memory waits for a change', 'build', { reason: 'OOMKilled', exitCode: 137 }, 'OutOfMemory', false],
    ['a kill is tried again', 'build', { exitCode: 143 }, 'BuildInterrupted', true],
    ['words without form are shown', 'push', { message: 'some\nlast words' }, 'PushFailed', true],
  ])('%s', (_, container, terminated, reason, retry) => {
    const { status, reason: found, nextCheckSeconds, remove } = plan(container, terminated);
    expect(found).toBe(reason);
    expect(status.build).toMatchObject({ phase: 'Failed', attempts: 1, failure: { reason } });
    expect(status.build?.failure?.retryAt !== undefined).toBe(retry);
    expect(nextCheckSeconds !== undefined).toBe(retry);
    expect(remove).toHaveLength(1);
  });

  test('the time limit and a lost node', () => {
    const none = (status: object) => planConfig(snapshot(config(), { machines, jobs: [{ ...JOB, status }] }), NOW);
    expect(conditionOf(none(failed('DeadlineExceeded')), 'Ready')?.message).toContain(
      'spec.build.timeout: the build did not end within 2 h',
    );
    expect(none(failed())).toMatchObject({ reason: 'BuildInterrupted' });
  });

  const failure = (more: object = {}): NixConfigStatus => ({
    build: {
      phase: 'Failed',
      revision: REVISION,
      job: JOB.metadata.name,
      attempts: 2,
      failure: { reason: 'PushFailed', message: 'the cache is full', generation: 1, ...more },
    },
  });

  test.each<[string, NixConfigStatus, { annotations?: Record<string, string>; generation?: number }, boolean]>([
    ['before its time it waits', failure({ retryAt: '2026-01-01T12:00:30Z' }), {}, false],
    ['at its time it is tried again', failure({ retryAt: '2026-01-01T12:00:00Z' }), {}, true],
    ['without a time it waits', failure(), {}, false],
    ['a changed spec is tried at once', failure(), { generation: 2 }, true],
    ['a person may ask for it', failure(), { annotations: { [verbAnnotation('retry')]: 'now' } }, true],
  ])('%s', (_, status, more, again) => {
    const plan = planConfig(snapshot(config({}, { status, ...more }), { machines }), NOW);
    expect(plan.create !== undefined).toBe(again);
    if (again) expect(plan.create?.job).not.toBe(JOB.metadata.name);
    else
      expect(conditionOf(plan, 'Ready')?.message).toMatch(
        /the cache is full(; tried again at|\. Tried again when the spec changes)/,
      );
  });

  test('a failure is counted once, however long the Job stays', () => {
    const first = snapshot(config(), { machines, jobs: [{ ...JOB, status: failed() }] });
    expect(after(first).status.build?.attempts).toBe(1);
  });

  test('tries grow apart, up to a quarter of an hour', () => {
    const at = (attempts: number) => {
      const build = { phase: 'Failed' as const, revision: REVISION, job: 'other', attempts };
      const found = planConfig(
        snapshot(config({}, { status: { build } }), { machines, jobs: [{ ...JOB, status: failed() }] }),
        NOW,
      );
      return (Date.parse(found.status.build?.failure?.retryAt ?? '') - NOW.getTime()) / 1000;
    };
    expect([0, 1, 2, 10].map(at)).toEqual([30, 60, 120, 900]);
  });
});

describe('orders of a person', () => {
  const failures = { m2: { stage: 'Evaluation' as const, message: 'no' } };
  const records = [record(JOB, REVISION, { machines: { m1: CLOSURE('m1'), m3: CLOSURE('m3') }, failures })];
  const asked = (verb: 'retry' | 'reconcile', status: NixConfigStatus = {}) =>
    config({}, { status, annotations: { [verbAnnotation(verb)]: 'now' } });

  test('retry builds the failed ones again, once', () => {
    const of = asked('retry');
    const plan = planConfig(snapshot(of, { machines, records }), NOW);
    expect(requested(plan)).toEqual(['m2']);
    expect(plan.status.lastHandled).toEqual({ retry: 'now' });
    expect(planConfig(snapshot({ ...of, status: plan.status }, { machines, records }), NOW).create).toBeUndefined();
  });

  test('reconcile looks first, then builds the failed ones again', () => {
    const of = asked('reconcile');
    const before = planConfig(snapshot(of, { machines, records }), NOW);
    expect(before).toMatchObject({ look: true, create: undefined });
    expect(before.status.lastHandled).toBeUndefined();
    const plan = planConfig(snapshot(of, { machines, records, source: looked(of, { order: 'now' }) }), NOW);
    expect(plan).toMatchObject({ look: false, status: { lastHandled: { reconcile: 'now' } } });
    expect(requested(plan)).toEqual(['m2']);
  });

  test('retry during a Job waits for its end', () => {
    const plan = planConfig(snapshot(asked('retry'), { machines, records, jobs: [JOB] }), NOW);
    expect(plan.create).toBeUndefined();
    expect(plan.status.lastHandled).toBeUndefined();
  });
});

describe('a source that can not be had', () => {
  const git = config({ source: { git: { url: 'https://git.example/x' } } });
  const problem = { reason: 'SourceFailed', message: 'https://git.example/x does not answer', transient: true };
  const view = (more: object) => ({
    looking: false,
    failures: 1,
    at: NOW.getTime() - 1000,
    key: sourceKey(git.spec),
    generation: 1,
    problem,
    ...more,
  });

  test('from the start: said at once, looked at again soon', () => {
    const plan = planConfig(snapshot(git, { machines, source: view({}) }), NOW);
    expect(conditionOf(plan, 'Ready')).toMatchObject({ reason: 'SourceFailed', message: problem.message });
    expect(conditionOf(plan, 'Reconciling')?.status).toBe('True');
    expect(plan.nextCheckSeconds).toBeLessThan(6);
  });

  test.each([
    [1, 'Built'],
    [3, 'SourceFailed'],
  ])('after %i failures with something built: %s', (failures, reason) => {
    const good = looked(git).source;
    const of =
      planConfig(snapshot(git, { machines, source: view({ failures, ...(good && { source: good }) }) }), NOW).create
        ?.revision ?? '';
    const records = [record(job('j', of), of, { machines: closures })];
    const plan = planConfig(
      snapshot(git, { machines, records, source: view({ failures, ...(good && { source: good }) }) }),
      NOW,
    );
    expect(plan.reason).toBe(reason);
    expect(plan.status.revision?.id).toBe(of);
  });
});

describe('old records', () => {
  const old = (revision: string) => record(job(`web-${revision}`, revision), revision, { machines: closures });
  const records = [built, ...['r1', 'r2', 'r3', 'r4', 'r5'].map(old)];
  const history = ['r2', 'r1'].map((id) => ({ id, source: 'x', builtAt: '2026-01-01T10:00:00Z' }));

  test('go when neither history nor machine nor Rollout names them', () => {
    const status: NixConfigStatus = { history };
    const running = machine('m1', { status: { current: { closure: CLOSURE('x'), revision: 'r3' } } });
    const rollout = {
      apiVersion: '',
      kind: '',
      metadata: { name: 'r' },
      spec: { configRef: { name: 'web' } },
      status: { stableRevision: 'r4' },
    };
    const plan = planConfig(
      snapshot(config({ historyLimit: 2 }, { status }), {
        machines: machines.with(0, running),
        records,
        rollouts: [rollout],
      }),
      NOW,
    );
    expect(plan.status.history?.map(({ id }) => id)).toEqual([REVISION, 'r2']);
    expect(plan.prune).toEqual([old('r1'), old('r5')].map(({ metadata }) => metadata.name).toSorted());
  });
});

describe('whatever happens', () => {
  const machineArbitrary = fc.record({
    name: fc.constantFrom('m1', 'm2', 'm3', 'm4'),
    recorded: fc.constantFrom('closure', 'failure', 'none'),
    hostName: fc.constantFrom(undefined, 'other'),
  });
  const jobArbitrary = fc.record({
    revision: fc.constantFrom(REVISION, 'old'),
    state: fc.constantFrom('active', 'complete', 'failed', 'deleting'),
    number: fc.integer({ min: 0, max: 2 }),
  });
  const scene = fc.record({
    machines: fc.uniqueArray(machineArbitrary, { selector: ({ name }) => name }),
    jobs: fc.uniqueArray(jobArbitrary, { selector: ({ revision, number }) => `${revision}${number}`, maxLength: 3 }),
    source: fc.constantFrom('unknown', 'looking', 'known', 'failing'),
    preparation: fc.constantFrom('unknown', 'ready', 'problem'),
    suspend: fc.boolean(),
    failed: fc.boolean(),
    retry: fc.boolean(),
    delivery: fc.constantFrom('Rollout' as const, 'Immediate' as const),
  });

  function snapshotOf(given: typeof scene extends fc.Arbitrary<infer T> ? T : never): Snapshot {
    const status: NixConfigStatus = given.failed
      ? {
          build: {
            phase: 'Failed',
            revision: REVISION,
            job: 'gone',
            attempts: 1,
            failure: { reason: 'PushFailed', message: 'no', generation: 1, retryAt: '2026-01-01T13:00:00Z' },
          },
        }
      : {};
    const annotations = given.retry ? { [verbAnnotation('retry')]: 'now' } : {};
    const source = { git: { url: 'https://git.example/x' } };
    const of = config({ source, suspend: given.suspend, delivery: given.delivery }, { status, annotations });
    const problem = { reason: 'SourceFailed', message: 'away', transient: true };
    const sources = {
      unknown: { looking: false, failures: 0 },
      looking: { looking: true, failures: 0 },
      known: looked(of),
      failing: { looking: false, failures: 4, at: NOW.getTime(), generation: 1, key: sourceKey(of.spec), problem },
    };
    const preparations = {
      unknown: { kind: 'unknown' as const },
      ready: { kind: 'ready' as const, publicKey: 'k:A' },
      problem: { kind: 'problem' as const, problem },
    };
    const status_ = { active: undefined, complete, failed: failed(), deleting: undefined };
    const found = Object.groupBy(given.machines, ({ recorded }) => recorded);
    return snapshot(of, {
      machines: given.machines.map(({ name, hostName }) =>
        machine(name, hostName === undefined ? {} : { spec: { hostName } }),
      ),
      jobs: given.jobs.map(({ revision, state, number }) => {
        const { [state]: s } = status_;
        return job(`web-${revision}-${number}`, revision, { deleting: state === 'deleting', ...(s && { status: s }) });
      }),
      records: [
        record(JOB, REVISION, {
          machines: Object.fromEntries((found.closure ?? []).map(({ name }) => [name, CLOSURE(name)])),
          failures: Object.fromEntries(
            (found.failure ?? []).map(({ name }) => [name, { stage: 'Build' as const, message: 'no' }]),
          ),
        }),
      ],
      source: sources[given.source],
      preparation: preparations[given.preparation],
    });
  }

  test('the same snapshot gives the same plan, and the order of the input never matters', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const of = snapshotOf(given);
        const plan = planConfig(of, NOW);
        expect(planConfig(structuredClone(of), NOW)).toEqual(plan);
        const turned = {
          ...of,
          machines: of.machines.toReversed(),
          jobs: of.jobs.toReversed(),
          records: of.records.toReversed(),
        };
        expect(planConfig(turned, NOW)).toEqual(plan);
      }),
    );
  });

  test('there are never two Jobs of one revision, and never one that nobody waits for', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const of = snapshotOf(given);
        const { create, remove } = planConfig(of, NOW);
        const removed = new Set(remove.map(({ name }) => name));
        const left = of.jobs.filter(({ metadata, status }) => !removed.has(metadata.name) && status === undefined);
        const same = left.filter(({ metadata }) => metadata.labels?.['floe.dev/revision'] === create?.revision);
        expect(same).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('every plan has a reason and a message, and what works on has a next check', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const of = snapshotOf(given);
        const plan = planConfig(of, NOW);
        expect(plan.reason).toMatch(/^[A-Z][A-Za-z]+$/);
        for (const { message, reason } of plan.status.conditions ?? []) {
          expect(message).not.toBe('');
          expect(reason).not.toBe('');
        }
        const working = conditionOf(plan, 'Reconciling')?.status === 'True';
        const wakes = plan.look || of.source.looking || plan.prepare || plan.create !== undefined;
        if (working && !wakes) expect(plan.nextCheckSeconds).toBeGreaterThan(0);
      }),
    );
  });

  test('kstatus: failed where a person is needed, current where the newest source is built for everyone', () => {
    // Left to chance alone hardly any config is built for everyone.
    const settled = scene.map((given) => ({
      ...given,
      machines: given.machines.map((of) => ({ ...of, recorded: 'closure' as const, hostName: undefined })),
      jobs: [],
      source: 'known' as const,
      suspend: false,
      failed: false,
    }));
    let samples = 0;
    let current = 0;
    fc.assert(
      fc.property(fc.oneof(scene, settled), (given) => {
        const of = snapshotOf(given);
        const { status } = planConfig(of, NOW);
        const holds = (status.conditions ?? []).filter((condition) => condition.status === 'True');
        const beside = ['Sandboxed', 'Suspended', 'NoMachines'];
        const main = holds.map(({ type }) => type).filter((type) => !beside.includes(type));
        // At most one of the three, so that their order in the list never matters; none: suspended before it was built.
        expect(main.length).toBeLessThanOrEqual(1);
        const wanted = { Ready: 'Current', Stalled: 'Failed' }[main[0] ?? ''] ?? 'InProgress';
        expect(kstatusOf({ ...of.config, status })).toBe(wanted);
        samples += 1;
        if (wanted === 'Current') current += 1;
      }),
    );
    expect(current).toBeGreaterThan(samples / 5);
  });

  test('a plan that was carried out and changed nothing is not carried out again', () => {
    fc.assert(
      fc.property(scene, (given) => {
        const of = snapshotOf(given);
        const first = planConfig(of, NOW);
        fc.pre(first.create === undefined && first.remove.length === 0);
        const second = planConfig({ ...of, config: { ...of.config, status: first.status } }, NOW);
        expect(second.status).toEqual(first.status);
        expect(second.events).toEqual([]);
      }),
    );
  });
});
