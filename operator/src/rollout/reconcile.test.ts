// The reconciler against an API server in memory: what is written, in which order, and what a restart finds.
import type { NixMachine } from '@floe/crds/nix-machine';
import type { Rollout } from '@floe/crds/rollout';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { KubeError } from '../kube/error.ts';
import type { Happening } from '../kube/events.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import { Store } from '../kube/store.ts';
import { Observer } from './observe.ts';
import { rolloutReconciler } from './reconcile.ts';
import {
  at,
  batch,
  config,
  failed,
  fleet,
  MINUTE,
  machine,
  R1,
  R2,
  rollout,
  runs,
  T0,
  took,
} from './rollout.fixture.ts';
import { RolloutMetrics } from './rollout-metrics.ts';
import { BY_CONFIG, BY_NAMESPACE, configKey, type RolloutStores } from './stores.ts';

type Patch = { readonly metadata: { readonly resourceVersion?: string }; readonly status: Record<string, unknown> };

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

/** An API server in memory, its watch store, and the reconciler on top. */
class World {
  now = T0;
  version = 100;
  readonly writes: string[] = [];
  readonly events: string[] = [];
  readonly registry = new Registry();
  readonly stores: RolloutStores;
  /** What the next writes fail with; undefined: that one goes through. */
  readonly failNext: (Error | undefined)[] = [];
  readonly #objects = new Map<string, KubeObject>();
  reconcile: ReturnType<typeof rolloutReconciler>;

  constructor(objects: { rollout: Rollout; machines: readonly NixMachine[]; revision?: string }) {
    const revision = objects.revision ?? R2;
    const machines = new Map(objects.machines.map(({ metadata: { name } }) => [name, `${revision}/${name}`]));
    this.stores = {
      nixConfigs: new Store(),
      nixMachines: new Store({ indexes: { [BY_CONFIG]: (m: NixMachine) => [configKey(m) ?? ''] } }),
      rollouts: new Store({
        indexes: { [BY_CONFIG]: (r: Rollout) => [configKey(r) ?? ''], [BY_NAMESPACE]: () => ['shop'] },
      }),
      controllerRevisions: new Store({ indexes: { [BY_CONFIG]: ({ data }) => [`shop/${data?.config}`] } }),
    };
    const record = (id: string, number: number) => ({
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { name: `web-${id}`, namespace: 'shop', resourceVersion: '1' },
      revision: number,
      data: {
        config: 'web',
        revision: id,
        source: 'main',
        builtAt: at(0),
        part: 0,
        parts: 1,
        job: `job-${id}`,
        machines: Object.fromEntries([...machines.keys()].map((name) => [name, `${id}/${name}`])),
        failures: {},
        summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
      },
    });
    this.stores.nixConfigs.put(config(revision));
    for (const [i, id] of [R1, revision].entries()) this.stores.controllerRevisions.put(record(id, i));
    for (const object of [objects.rollout, ...objects.machines]) this.set(object);
    this.reconcile = this.start();
  }

  /** A new process: nothing is remembered but what the API server holds. */
  start(): ReturnType<typeof rolloutReconciler> {
    const registry = new Registry();
    return rolloutReconciler({
      client: { mergePatch: (resource, key, patch) => this.#patch(resource.kind, keyOf(key), patch as never) },
      stores: this.stores,
      window: new CongestionWindow(),
      observer: new Observer(this.stores),
      measurements: { measured: () => [], sync: () => undefined, forget: () => undefined },
      metrics: new RolloutMetrics(this.registry.getMetricsAsArray().length === 0 ? this.registry : registry),
      events: { event: (_: KubeObject, { reason, message }: Happening) => this.events.push(`${reason}: ${message}`) },
      now: () => new Date(this.now),
      onPlanned: () => undefined,
    });
  }

  set(object: KubeObject): void {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } };
    this.#objects.set(`${object.kind} ${keyOf(object)}`, stored);
    if (stored.kind === 'Rollout') this.stores.rollouts.put(stored as Rollout);
    if (stored.kind === 'NixMachine') this.stores.nixMachines.put(stored as NixMachine);
  }

  async #patch(kind: string, key: string, patch: Patch): Promise<never> {
    const error = this.failNext.shift();
    if (error !== undefined) throw error;
    const before = this.#objects.get(`${kind} ${key}`);
    if (before === undefined || before.metadata.resourceVersion !== patch.metadata.resourceVersion) {
      throw new KubeError({ status: 409, reason: 'Conflict', message: 'changed' });
    }
    const after = merged(before, { status: patch.status }) as KubeObject;
    after.metadata = { ...before.metadata, resourceVersion: String(++this.version) };
    this.#objects.set(`${kind} ${key}`, after);
    this.writes.push(`${kind} ${key.slice('shop/'.length)}`);
    return after as never;
  }

  machine(name: string): NixMachine {
    const found = this.stores.nixMachines.get(`shop/${name}`);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  }

  get rollout(): Rollout {
    const found = this.stores.rollouts.get('shop/web');
    if (found === undefined) throw new Error('no rollout');
    return found;
  }

  run(): ReturnType<ReturnType<typeof rolloutReconciler>> {
    return this.reconcile('shop/web', { signal: new AbortController().signal, log: pino({ level: 'silent' }) });
  }
}

const spec = { steps: [batch(1)], maxUnavailable: 9 };

test('the course is stored before the orders that follow from it; each order is one write with its conditions', async () => {
  const world = new World({ rollout: rollout(spec), machines: fleet(3) });
  const outcome = await world.run();
  expect(world.writes[0]).toBe('Rollout web');
  expect(world.writes).toHaveLength(2);
  const name = world.writes[1]?.replace('NixMachine ', '') ?? '';
  const { desired, conditions } = world.machine(name).status ?? {};
  expect(desired).toMatchObject({
    closure: `${R2}/${name}`,
    revision: R2,
    rollout: 'web',
    reason: 'Rollout',
    go: true,
    since: at(0),
  });
  expect(desired?.run).toBe(world.rollout.status?.run);
  expect(conditions?.find(({ type }) => type === 'UpToDate')?.status).toBe('False');
  expect(outcome).toEqual({ kind: 'again', afterSeconds: 1800 });
  expect(world.events).toEqual([
    'Started: run of 2222222 started: 3 machines, 2 steps',
    'StepStarted: step 1/2 started',
  ]);
});

test('killed after the status was stored, before anyone was told: the next process tells the same machine', async () => {
  const twin = new World({ rollout: rollout(spec), machines: fleet(5) });
  await twin.run();
  const world = new World({ rollout: rollout(spec), machines: fleet(5) });
  world.failNext.push(undefined, new KubeError({ status: 0, reason: 'Unreachable', message: 'gone' }));
  await expect(world.run()).rejects.toThrow('gone');
  expect(world.writes).toEqual(['Rollout web']);
  world.reconcile = world.start();
  world.now += 5000;
  await world.run();
  await world.run();
  expect(world.writes.filter((write) => write.startsWith('NixMachine'))).toEqual(twin.writes.slice(1));
});

test('nobody is told twice, however often the reconciler runs or starts anew', async () => {
  const world = new World({ rollout: rollout(spec), machines: fleet(5) });
  for (let i = 0; i < 5; i++) {
    await world.run();
    world.now += 2000;
    world.reconcile = world.start();
  }
  expect(world.writes.filter((write) => write.startsWith('NixMachine'))).toHaveLength(1);
});

test.each([
  [3000, 3000],
  [3_600_000, 0],
])(
  'the clock of the leader before was %i ms ahead: who is told now is of the step that it began',
  async (ahead, since) => {
    const world = new World({ rollout: rollout(spec), machines: fleet(1) });
    world.now += ahead;
    world.failNext.push(undefined, new KubeError({ status: 0, reason: 'Unreachable', message: 'gone' }));
    await expect(world.run()).rejects.toThrow('gone');
    world.reconcile = world.start();
    world.now -= ahead;
    await world.run();
    expect(world.machine('m1').status?.desired?.since).toBe(at(since));
  },
);

test('an order that loses a race is left to the next plan, soon', async () => {
  const world = new World({ rollout: rollout(spec), machines: fleet(1) });
  const stale = world.machine('m1');
  world.set({ ...stale });
  world.stores.nixMachines.put({ ...stale, metadata: { ...stale.metadata, resourceVersion: String(++world.version) } });
  expect(await world.run()).toEqual({ kind: 'again', afterSeconds: 0.1 });
  expect(world.writes).toEqual(['Rollout web']);
});

test('a status that lost a race throws, and tells nobody', async () => {
  const world = new World({ rollout: rollout(spec), machines: fleet(2) });
  world.failNext.push(new KubeError({ status: 409, reason: 'Conflict', message: 'changed' }));
  await expect(world.run()).rejects.toThrow('changed');
  expect(world.writes).toEqual([]);
});

test('counters are written at most once a second, steps and phases at once', async () => {
  const world = new World({ rollout: rollout({ maxUnavailable: 9 }), machines: fleet(4) });
  await world.run();
  world.writes.length = 0;
  const done = (name: string) => {
    const before = world.machine(name);
    const { id = '', closure = '' } = before.status?.desired ?? {};
    const attempt = { desiredId: id, to: closure, phase: 'Committed', finishedAt: at(0) };
    const after: NixMachine = { ...before, status: { ...before.status, attempt, current: { closure } } };
    world.set(after);
  };
  world.now += 100;
  done('m1');
  const outcome = await world.run();
  expect([world.writes, outcome]).toEqual([[], { kind: 'again', afterSeconds: 0.9 }]);
  world.now += 1000;
  await world.run();
  expect(world.writes).toEqual(['Rollout web']);
  expect(world.rollout.status).toMatchObject({ phase: 'Progressing', updated: '1/4' });
  world.now += 10;
  for (const name of ['m2', 'm3', 'm4']) done(name);
  await world.run();
  expect(world.rollout.status).toMatchObject({ phase: 'Completed', updated: '4/4', stableRevision: R2 });
  expect(world.events.at(-1)).toBe('Completed: up to date: all 4 have 2222222');
});

test('a retry takes the closure off the known bad ones in the write that tells it again', async () => {
  const bad = machine('m1', { ...failed('m1', R2, MINUTE), knownBad: [`${R2}/m1`, 'other'] });
  const annotations = { 'floe.dev/retry': 'now' };
  const status = { revision: R2, stableRevision: R1, run: 'run1', startedAt: at(0), phase: 'Failed' as const };
  const world = new World({ rollout: rollout(spec, status, { annotations }), machines: [bad, ...fleet(3).slice(1)] });
  world.now += 2 * MINUTE;
  await world.run();
  expect(world.machine('m1').status).toMatchObject({ knownBad: ['other'], desired: { reason: 'Retry', run: 'run1' } });
  expect(world.machine('m1').status?.desired?.sequence).toBeGreaterThan(1);
});

test('events and metrics of a failure', async () => {
  const status = { revision: R2, stableRevision: R1, run: 'run1', startedAt: at(0), phase: 'Progressing' as const };
  const machines = [
    machine('m1', failed('m1', R2, MINUTE)),
    machine('m2', took('m2', R2, MINUTE)),
    machine('m3', runs('m3', R1)),
  ];
  const world = new World({ rollout: rollout({ steps: [batch(2)] }, status), machines });
  world.now += 2 * MINUTE;
  await world.run();
  expect(world.events).toEqual([
    'MachineFailed: m1: hello.service failed (exit 1), rolled back to 1111111',
    'Failed: m1: hello.service failed (exit 1), rolled back to 1111111',
  ]);
  const text = await world.registry.metrics();
  expect(text).toContain(
    'floe_rollout_info{namespace="shop",rollout="web",config="web",revision="222222222222",phase="Failed"} 1',
  );
  expect(text).toContain('floe_rollout_machines{namespace="shop",rollout="web",state="failed"} 1');
  expect(text).toContain('floe_rollout_runs_total{namespace="shop",rollout="web",outcome="Failed"} 1');
  expect(text).toContain('floe_rollout_run_duration_seconds_sum{namespace="shop",rollout="web",outcome="Failed"} 120');
  world.stores.rollouts.remove('shop/web');
  await world.run();
  expect(await world.registry.metrics()).not.toContain('rollout="web"');
});
