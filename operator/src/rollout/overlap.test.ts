// Two Rollouts of one namespace at once: budgets hold across them, whatever the order of answers, and they wake each other.
import type { NixConfig } from '@floe/crds/nix-config';
import type { NixMachine, NixMachineStatus } from '@floe/crds/nix-machine';
import type { ControllerRevision } from '@floe/crds/revision-record';
import type { Rollout, RolloutSpec } from '@floe/crds/rollout';
import fc from 'fast-check';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { machineIndexes, recordIndexes } from '../conditions/indexes.ts';
import { rolloutIndexes } from '../config/stores.ts';
import { CongestionWindow } from '../kube/congestion-window.ts';
import { KubeError } from '../kube/error.ts';
import { type KubeObject, keyOf } from '../kube/object.ts';
import { WorkQueue } from '../kube/queue.ts';
import { Store } from '../kube/store.ts';
import { Observer } from './observe.ts';
import { rolloutReconciler } from './reconcile.ts';
import { at, config, machine, off, R1, R2, rollout, runs, T0 } from './rollout.fixture.ts';
import { RolloutMetrics } from './rollout-metrics.ts';
import type { RolloutStores } from './stores.ts';
import { Tally } from './tally.ts';
import { Turns } from './turns.ts';
import { Waker } from './wake.ts';

const CONFIGS = ['web', 'db'] as const;
const log = pino({ level: 'silent' });
const BUDGET = { name: 'replicas', groupBy: 'service', maxUnavailable: 1 };

/** An API server in memory that answers late, and in any order. */
class Late {
  now = T0;
  version = 100;
  /** Answers that get lost although the write was stored. */
  lose = 0;
  readonly stores: RolloutStores = {
    nixConfigs: new Store<NixConfig>(),
    nixMachines: new Store<NixMachine>({ indexes: machineIndexes }),
    controllerRevisions: new Store<ControllerRevision>({ indexes: recordIndexes }),
    rollouts: new Store<Rollout>({ indexes: rolloutIndexes }),
  };
  readonly observer = new Observer(this.stores);
  readonly #objects = new Map<string, KubeObject>();
  readonly #random: () => number;
  readonly reconcile: ReturnType<typeof rolloutReconciler>;
  worst = 0;

  constructor(machines: readonly NixMachine[], spec: (config: string) => Partial<RolloutSpec>, random: () => number) {
    this.#random = random;
    for (const name of CONFIGS) {
      const made = config(R2);
      this.stores.nixConfigs.put({ ...made, metadata: { ...made.metadata, name } });
      this.stores.controllerRevisions.put(recordOf(name, machines));
      const own = rollout(spec(name), undefined, { name, uid: name });
      this.set({ ...own, spec: { ...own.spec, configRef: { name } } });
    }
    for (const one of machines) this.set(one);
    this.reconcile = rolloutReconciler({
      client: { mergePatch: (resource, key, patch) => this.#patch(resource.kind, keyOf(key), patch) as Promise<never> },
      stores: this.stores,
      window: new CongestionWindow(),
      observer: this.observer,
      measurements: { measured: () => [], sync: () => undefined, forget: () => undefined },
      metrics: new RolloutMetrics(new Registry()),
      events: { event: () => undefined },
      now: () => new Date(this.now),
      onPlanned: () => undefined,
    });
  }

  set(object: NixMachine | Rollout): void {
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } };
    this.#objects.set(`${object.kind} ${keyOf(object)}`, stored);
    this.#show(stored);
  }

  #show(object: KubeObject): void {
    if (object.kind === 'Rollout') this.stores.rollouts.put(object as Rollout);
    else this.stores.nixMachines.put(object as NixMachine);
  }

  async #patch(kind: string, key: string, patch: object): Promise<KubeObject> {
    for (let i = Math.floor(this.#random() * 4); i > 0; i--) await Promise.resolve();
    const before = this.#objects.get(`${kind} ${key}`);
    const { metadata, status } = patch as { metadata: { resourceVersion: string }; status: Record<string, unknown> };
    if (before === undefined || before.metadata.resourceVersion !== metadata.resourceVersion) {
      throw new KubeError({ status: 409, reason: 'Conflict', message: 'changed' });
    }
    const changed: Record<string, unknown> = { ...(before as { status?: object }).status, ...status };
    for (const [part, value] of Object.entries(changed)) if (value === null) delete changed[part];
    const after = {
      ...before,
      status: changed,
      metadata: { ...before.metadata, resourceVersion: String(++this.version) },
    } as KubeObject;
    this.#objects.set(`${kind} ${key}`, after);
    this.#look();
    for (let i = Math.floor(this.#random() * 4); i > 0; i--) await Promise.resolve();
    if (kind === 'NixMachine' && this.lose > 0) {
      this.lose -= 1;
      throw new KubeError({ status: 504, reason: 'Timeout', message: 'the answer got lost' });
    }
    return after;
  }

  /** The most machines of one group that were unavailable at once, by what the API server holds. */
  #look(): void {
    const tally = new Tally(BUDGET);
    for (const object of this.#objects.values()) if (object.kind === 'NixMachine') tally.add(object as NixMachine);
    for (const { unavailable } of tally.groups.values()) this.worst = Math.max(this.worst, unavailable.size);
  }

  /** What the watch brings after a while. */
  catchUp(): void {
    for (const object of this.#objects.values()) this.#show(object);
  }

  /** Every machine that got its go is done. */
  finish(): void {
    for (const object of [...this.#objects.values()]) {
      const { desired } = (object as NixMachine).status ?? {};
      if (object.kind !== 'NixMachine' || desired?.go !== true) continue;
      const current = { closure: desired.closure, revision: desired.revision };
      const attempt = { desiredId: desired.id, to: desired.closure, phase: 'Committed', finishedAt: at(this.now - T0) };
      const status: NixMachineStatus = { ...(object as NixMachine).status, current, bootDefault: current, attempt };
      this.set({ ...object, status } as NixMachine);
    }
  }

  look(name: string): Promise<unknown> {
    return this.reconcile(`shop/${name}`, { signal: new AbortController().signal, log });
  }
}

function recordOf(name: string, machines: readonly NixMachine[]): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: `${name}-${R2}`, namespace: 'shop', resourceVersion: '1' },
    revision: 1,
    data: {
      config: name,
      revision: R2,
      source: 'main',
      builtAt: at(0),
      part: 0,
      parts: 1,
      job: 'job',
      machines: Object.fromEntries(machines.map(({ metadata }) => [metadata.name, `${R2}/${metadata.name}`])),
      failures: {},
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
    },
  };
}

/** Machines of two configs whose services have replicas in both. */
function replicas(count: number): NixMachine[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `m${i}`;
    const made = machine(name, runs(name, R1), { labels: { service: `s${i % 3}` } });
    return { ...made, spec: { ...made.spec, configRef: { name: CONFIGS[i % 2] ?? '' } } };
  });
}

/** A sequence that a seed gives. */
function sequence(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('two Rollouts that plan at once never exceed a budget that both must keep to', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.boolean(), fc.integer({ min: 0, max: 2 }), async (seed, both, lost) => {
      const spec = (name: string): Partial<RolloutSpec> => ({
        maxUnavailable: '100%',
        ...(both || name === 'db' ? { budgets: [BUDGET] } : {}),
      });
      const world = new Late(replicas(12), spec, sequence(seed));
      for (let round = 0; round < 40; round++) {
        world.lose = round === 1 ? lost : 0;
        await Promise.allSettled([world.look('web'), world.look('db'), world.look('web'), world.look('db')]);
        world.now += 1000;
        if (round % 2 === 0) continue;
        world.catchUp();
        world.finish();
      }
      expect(world.worst).toBe(1);
      const left = world.stores.nixMachines.list().filter(({ status }) => status?.current?.revision !== R2);
      expect(left.map(({ metadata }) => metadata.name)).toEqual([]);
      world.observer.close();
    }),
    { numRuns: 40 },
  );
});

test('turns come one after another for one key, and one that gives up keeps the others in order', async () => {
  const turns = new Turns();
  const done: string[] = [];
  const free = Promise.withResolvers<void>();
  const { signal } = new AbortController();
  const first = turns.take('a', signal, async () => {
    await free.promise;
    done.push('first');
  });
  const end = new AbortController();
  const second = turns.take('a', end.signal, async () => done.push('second'));
  const third = turns.take('a', signal, async () => done.push('third'));
  await turns.take('b', signal, async () => done.push('other'));
  end.abort(new Error('too late'));
  await expect(second).rejects.toThrow('too late');
  const fourth = turns.take('a', signal, async () => {
    done.push('fourth');
    throw new Error('broken');
  });
  free.resolve();
  await Promise.all([first, third]);
  await expect(fourth).rejects.toThrow('broken');
  await turns.take('a', signal, async () => done.push('fifth'));
  expect(done).toEqual(['other', 'first', 'third', 'fourth', 'fifth']);
});

test('a slot that gets free wakes who waits for it, and progress wakes who goes after', async () => {
  const world = new Late(
    replicas(4),
    (name) => (name === 'web' ? { dependsOn: [{ name: 'db' }] } : {}),
    () => 0,
  );
  const queue = new WorkQueue({ name: 'test' });
  const waker = new Waker(world.stores, queue, world.observer);
  const { signal } = new AbortController();
  const taken = async (count: number): Promise<string[]> => {
    const keys: string[] = [];
    for (let i = 0; i < count; i++) {
      const key = (await queue.take(signal)) ?? '';
      keys.push(key);
      queue.done(key);
    }
    return keys.sort();
  };
  const end = waker.start();
  expect(await taken(2)).toEqual(['shop/db', 'shop/web']);
  const db = world.stores.rollouts.get('shop/db');
  if (db === undefined) throw new Error('no db');
  // Its own status write wakes nobody but who goes after it.
  world.set({ ...db, status: { phase: 'Completed', revision: R2 } } as Rollout);
  expect(await taken(1)).toEqual(['shop/web']);
  const seen: Rollout = { ...db, status: { phase: 'Completed', revision: R2, observedGeneration: 2 } };
  world.set(seen);
  expect(await taken(1)).toEqual(['shop/web']);
  world.set({ ...seen, status: { ...seen.status, updated: '3/4' } });
  const newer = config(R1);
  world.stores.nixConfigs.put({ ...newer, metadata: { ...newer.metadata, name: 'db', resourceVersion: '999' } });
  expect(await taken(2)).toEqual(['shop/db', 'shop/web']);
  const waits = { hold: [{ machine: 'm0', reason: 'GroupBudgetFull' as const, message: '' }], rebootsWaiting: 0 };
  waker.planned('shop/web', 0.001, waits);
  const [other] = replicas(2).slice(1);
  if (other === undefined) throw new Error('no machine');
  world.set({ ...other, status: { ...other.status, ...off() } });
  expect(await taken(1)).toEqual(['shop/db']);
  world.set(other);
  expect(await taken(2)).toEqual(['shop/db', 'shop/web']);
  end();
  world.observer.close();
});
