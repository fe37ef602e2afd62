// What is done about a cache that has lost closures: when it is asked, what is said, and how it is built again.
import type { NixConfigStatus } from '@floe/crds/nix-config';
import { beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../../e2e/fake-apiserver/silent-log.ts';
import { type CacheLook, CLOSURES_PER_LOOK } from './cache-look.ts';
import { type CacheAnswer, CacheWatch } from './cache-watch.ts';
import {
  CLOSURE,
  config,
  job,
  looked,
  machine,
  NOW,
  record,
  revisionOf,
  SETTINGS,
  snapshot,
} from './config.fixture.ts';
import { DEFAULT_INTERVAL_SECONDS } from './look.ts';
import { type Plan, planConfig } from './plan.ts';
import type { CacheView, Snapshot } from './snapshot.ts';

const REVISION = revisionOf(config());
const JOB = job(`web-${REVISION}`, REVISION);
const names = ['m1', 'm2', 'm3'];
const machines = names.map((name) => machine(name));
const closures = Object.fromEntries(names.map((name) => [name, CLOSURE(name)]));
const LOCK = '{"nodes":{"root":{}},"root":"root","version":7}';
const records = [record(JOB, REVISION, { machines: closures, lock: LOCK })];
const URL = 'http://cache/demo';

const ready = ({ status }: Plan) => status.conditions?.find(({ type }) => type === 'Ready');

function keyOf(plan: Plan): CacheLook {
  if (plan.lookAtCache === undefined) throw new Error('it does not ask');
  return plan.lookAtCache;
}

const built = (more: Partial<Snapshot> = {}): Snapshot => snapshot(config(), { machines, records, ...more });
const KEY = keyOf(planConfig(built(), NOW)).key;

/** What a look at the present builds came to. */
function view(missing: string[], more: Partial<CacheView> = {}): CacheView {
  return { looking: false, key: KEY, url: URL, at: NOW.getTime(), rounds: 1, missing, asked: 3, ...more };
}

function ordered(verb: 'retry' | 'reconcile', more: Partial<Snapshot>, status?: NixConfigStatus): Snapshot {
  const of = config({}, { annotations: { [`floe.dev/${verb}`]: 'x' }, ...(status === undefined ? {} : { status }) });
  return snapshot(of, { machines, records, source: looked(of, { order: 'x' }), ...more });
}

describe('when the cache is asked', () => {
  test('once something is built, where machines fetch it from', () => {
    expect(planConfig(built(), NOW).lookAtCache).toMatchObject({ url: URL, closures: Object.values(closures) });
    expect(planConfig(snapshot(config(), { machines }), NOW).lookAtCache).toBeUndefined();
  });

  test.each([
    ['not while a look is under way', { looking: true }, false],
    ['not before its time', {}, false],
    ['when the time has come', { at: NOW.getTime() - DEFAULT_INTERVAL_SECONDS * 1000 }, true],
    ['when the clock was set back', { at: NOW.getTime() + DEFAULT_INTERVAL_SECONDS * 1000 }, true],
    ['after another build', { key: 'another' }, true],
  ])('%s', (_what, more, asks) => {
    expect(planConfig(built({ cache: view([], more) }), NOW).lookAtCache !== undefined).toBe(asks);
  });

  test('it is looked again in time', () => {
    expect(planConfig(built({ cache: view([]) }), NOW).nextCheckSeconds).toBe(DEFAULT_INTERVAL_SECONDS);
  });

  test('one that only Nix can ask is not asked, and nothing is said of it', () => {
    const settings = { ...SETTINGS, cacheSubstituter: 's3://cache' };
    const plan = planConfig(built({ settings }), NOW);
    expect(plan).toMatchObject({ lookAtCache: undefined, reason: 'Built' });
  });

  test('for a few, and for all of them in turn; those that were missing again', () => {
    const many = Array.from({ length: 20 }, (_, index) => `m${String(index).padStart(2, '0')}`);
    const record20 = record(JOB, REVISION, { machines: Object.fromEntries(many.map((name) => [name, CLOSURE(name)])) });
    const asked = new Set<string>();
    for (let rounds = 0; rounds < 3; rounds++) {
      const more = { machines: many.map((name) => machine(name)), records: [record20] };
      const look = keyOf(planConfig(built({ ...more, cache: view([CLOSURE('m07')], { rounds, key: 'x' }) }), NOW));
      expect(look.closures).toHaveLength(CLOSURES_PER_LOOK);
      expect(look.closures).toContain(CLOSURE('m07'));
      for (const closure of look.closures) asked.add(closure);
    }
    expect(asked.size).toBeGreaterThanOrEqual(19);
  });
});

describe('what is said', () => {
  test('nothing while the cache has everything, or does not answer', () => {
    expect(planConfig(built({ cache: view([]) }), NOW).reason).toBe('Built');
    expect(planConfig(built({ cache: view([], { asked: 0 }) }), NOW).reason).toBe('Built');
  });

  test('what is lost, what that means and what to do', () => {
    const plan = planConfig(built({ cache: view([CLOSURE('m1'), CLOSURE('m2')]) }), NOW);
    expect(plan).toMatchObject({ reason: 'ClosuresLost', create: undefined });
    expect(ready(plan)).toMatchObject({
      status: 'False',
      message: `the cache ${URL} has lost ${CLOSURE('m1')} and 1 more, of 3 closures of this revision that it was asked for: machines that do not have them yet can't fetch them; the annotation floe.dev/retry has them built again`,
    });
    expect(plan.events.map(({ reason }) => reason)).toContain('ClosuresLost');
    // What Rollouts follow stays.
    expect(plan.status.revision?.id).toBe(REVISION);
  });

  test('an operator that starts anew says what was said until the cache has answered', () => {
    const { status } = planConfig(built({ cache: view([CLOSURE('m1')]) }), NOW);
    const again = (cache: CacheView) => planConfig(snapshot(config({}, { status }), { machines, records, cache }), NOW);
    const none: CacheView = { looking: false, rounds: 0, missing: [], asked: 0 };
    expect(ready(again(none))).toEqual(ready({ status } as Plan));
    expect(again(view([], { asked: 0 })).reason).toBe('ClosuresLost');
    expect(again(view([])).reason).toBe('Built');
  });

  test('why building again failed', () => {
    const failure = { reason: 'PushFailed', message: 'the cache is full' };
    const status = { build: { phase: 'Failed' as const, revision: REVISION, source: 's', job: 'j', failure } };
    const cache = view([CLOSURE('m1')]);
    const plan = planConfig(snapshot(config({}, { status }), { machines, records, cache }), NOW);
    expect(ready(plan)?.message).toContain('and building again failed: the cache is full');
    expect(plan.status.build?.failure).toEqual(failure);
    const retryAt = '2026-01-01T11:59:00Z';
    const passing = { build: { ...status.build, failure: { ...failure, retryAt } } };
    const later = planConfig(snapshot(config({}, { status: passing }), { machines, records, cache }), NOW);
    expect(later.create?.machines).toHaveLength(3);
  });
});

describe('floe.dev/retry', () => {
  test('builds everything again that is lost, with the inputs that the revision has', () => {
    const plan = planConfig(ordered('retry', { cache: view([CLOSURE('m2')]) }), NOW);
    expect(plan.create?.machines.map(({ name }) => name)).toEqual(names);
    expect(plan.create).toMatchObject({ revision: REVISION, lock: LOCK });
    expect(plan.status.lastHandled).toEqual({ retry: 'x' });
  });

  test.each(['retry', 'reconcile'] as const)('and %s ask the cache first where nothing is known to be lost', (verb) => {
    const asks = planConfig(ordered(verb, { cache: view([]) }), NOW);
    expect(asks).toMatchObject({ create: undefined, lookAtCache: { order: 'x' } });
    expect(asks.status.lastHandled).toBeUndefined();
    const whole = planConfig(ordered(verb, { cache: view([], { order: 'x' }) }), NOW);
    expect(whole.create).toBeUndefined();
    expect(whole.status.lastHandled).toEqual({ [verb]: 'x' });
    const lost = planConfig(ordered(verb, { cache: view([CLOSURE('m3')], { order: 'x' }) }), NOW);
    expect(lost.create?.machines).toHaveLength(3);
  });

  test('after it is handled nothing is built once more by itself', () => {
    const { status } = planConfig(ordered('retry', { cache: view([CLOSURE('m2')]) }), NOW);
    const after = planConfig(ordered('retry', { cache: view([CLOSURE('m2')]) }, status), NOW);
    expect(after.create).toBeUndefined();
  });
});

describe('the watch', () => {
  let answers: Record<string, CacheAnswer>;
  let asked: string[];
  let heard: string[];
  let watch: CacheWatch;
  const look = (more: Partial<CacheLook> = {}): CacheLook => ({
    key: KEY,
    order: undefined,
    url: URL,
    closures: ['a', 'b', 'c'],
    ...more,
  });
  beforeEach(() => {
    [answers, asked, heard] = [{}, [], []];
    watch = new CacheWatch({
      ask: async (_url, closure) => {
        asked.push(closure);
        return answers[closure] ?? 'there';
      },
      onLooked: (key) => void heard.push(key),
      now: () => NOW,
      signal: new AbortController().signal,
      log: silentLog(),
      limit: 1,
    });
  });
  async function ends(what: CacheLook): Promise<CacheView> {
    watch.look('demo/web', what);
    await new Promise(setImmediate);
    return watch.view('demo/web');
  }

  test('remembers what is missing, until the cache says otherwise', async () => {
    answers = { b: 'missing' };
    expect(await ends(look({ order: 'x' }))).toEqual(view(['b'], { order: 'x' }));
    expect(await ends(look({ closures: ['c'] }))).toMatchObject({ missing: ['b'], asked: 2, rounds: 2 });
    answers = {};
    expect(await ends(look())).toMatchObject({ missing: [] });
    expect(heard).toEqual(['demo/web', 'demo/web', 'demo/web']);
  });

  test('a cache that does not answer is asked once, and what was known stays', async () => {
    answers = { a: 'missing' };
    await ends(look());
    answers = { a: 'unknown' };
    asked = [];
    expect(await ends(look())).toMatchObject({ missing: ['a'], asked: 3 });
    expect(asked).toEqual(['a']);
    expect(await ends(look({ key: 'another' }))).toMatchObject({ key: 'another', missing: [], asked: 0 });
  });

  test('a config that is gone is forgotten', async () => {
    watch.look('demo/web', look());
    watch.forget('demo/web');
    await new Promise(setImmediate);
    expect(heard).toEqual([]);
    expect(watch.view('demo/web')).toMatchObject({ rounds: 0 });
  });
});
