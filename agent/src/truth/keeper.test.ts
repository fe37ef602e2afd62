// Break-glass and drift over time: what is held, what ends it, what is put back, and when that is given up.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Seen } from '../attempt/outcome.ts';
import type { Clock } from '../attempt/ports.ts';
import { type AttemptRecord, newAttempt, type Order } from '../attempt/record.ts';
import { diskFiles } from '../journal/files.ts';
import { EMPTY_JOURNAL, type Journal, withAttempt } from '../journal/journal.ts';
import { TruthKeeper } from './keeper.ts';
import { MemoryTruth } from './memory-truth.ts';
import { heldOf, learn, NO_TRUTH } from './truth.ts';
import { TruthFile } from './truth-file.ts';

const path = (digit: string) => `/nix/store/${digit.repeat(32)}-system`;
const OLD = path('0');
const OURS = path('1');
const NEXT = path('2');
const HAND = path('3');

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

function order(id: string, closure: string, more: Partial<Order> = {}): Order {
  return {
    id,
    closure,
    origin: 'hub',
    sequence: 1,
    go: true,
    mode: 'switch',
    confirm: 'none',
    switchTimeoutSeconds: 1,
    confirmTimeoutSeconds: 1,
    healthChecks: [],
    substituters: [],
    ...more,
  };
}
const byHand = (id: string, closure: string) => order(id, closure, { origin: 'local', sequence: 0, by: 'ada' });

/** A machine with a journal, whose clock goes on by ten seconds with each look. */
class Scene {
  readonly store = new MemoryTruth();
  #seconds = 0;
  journal: Journal = EMPTY_JOURNAL;
  seen: Seen = {
    current: OLD,
    booted: OLD,
    profile: OLD,
    bootDefault: { closure: OLD, verified: true },
    bootId: 'boot-1',
  };
  readonly clock: Clock = {
    now: () => ({
      time: new Date(Date.parse('2026-03-01T10:00:00Z') + this.#seconds * 1000).toISOString(),
      monotonicMs: this.#seconds * 1000,
    }),
    sleep: async () => undefined,
  };
  keeper = this.restarted();

  restarted(): TruthKeeper {
    const evidence = async (closure: string) => ({ family: [closure], generations: [], present: undefined });
    this.keeper = new TruthKeeper({ store: this.store, evidence, clock: this.clock, log: silent });
    return this.keeper;
  }

  wait(seconds: number): void {
    this.#seconds += seconds;
  }

  /** An attempt at the order that ends so. */
  ends(given: Order, phase: AttemptRecord['phase']): void {
    const from = this.seen.current ?? OLD;
    const before = { system: from, failedUnits: [], bootId: this.seen.bootId, program: [] };
    const record: AttemptRecord = { ...newAttempt(given, this.clock.now().time), before, step: 'done', phase };
    this.wait(1);
    this.journal = withAttempt(this.journal, { ...record, finishedAt: this.clock.now().time });
    if (phase === 'Committed') this.runs(given.closure);
  }

  runs(closure: string): void {
    this.seen = { ...this.seen, current: closure, profile: closure, bootDefault: { closure, verified: true } };
  }

  /** What is told once it has settled. */
  async look() {
    await this.keeper.look(this.journal, this.seen, false);
    this.wait(10);
    return this.keeper.look(this.journal, this.seen, false);
  }
}

test('nothing was ever kept: nothing is drift, nothing is held', async () => {
  const scene = new Scene();
  scene.runs(HAND);
  expect(await scene.look()).toEqual({});
});

test('what root applied is held, is no drift, and survives a restart of the agent', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(byHand('fix', HAND), 'Committed');
  const told = await scene.look();
  expect(told).toEqual({ held: { closure: HAND, since: expect.any(String), by: 'ada' } });
  scene.restarted();
  expect(await scene.look()).toEqual(told);
});

test('the same order again does not undo it, even when the journal has forgotten the order', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(byHand('fix', HAND), 'Committed');
  await scene.look();
  for (let count = 0; count < 12; count++) {
    scene.ends(byHand(`more-${count}`, HAND), 'Committed');
    await scene.look();
  }
  expect(scene.journal.ended.some((one) => one.order.id === 'one')).toBe(false);
  expect(scene.keeper.isHandled(order('one', OURS))).toBe(true);
  expect(scene.keeper.isHandled(order('two', NEXT))).toBe(undefined);
  expect(scene.keeper.wantsRevert).toBe(false);
});

test.each(['Committed', 'RolledBack', 'Unconfirmed', 'Failed'] as const)(
  'a newer order that ends %s ends the hold',
  async (phase) => {
    const scene = new Scene();
    scene.ends(order('one', OURS), 'Committed');
    scene.ends(byHand('fix', HAND), 'Committed');
    await scene.look();
    scene.ends(order('two', NEXT, { sequence: 2 }), phase);
    // Back on what was applied by hand, it is neither held nor drift.
    expect(await scene.look()).toEqual({});
  },
);

test('to apply what Floe keeps anyway holds nothing', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(byHand('again', OURS), 'Committed');
  expect(await scene.look()).toEqual({});
});

test('what was applied in mode test is held until the machine restarts', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends({ ...byHand('try', HAND), mode: 'test' }, 'Committed');
  scene.seen = { ...scene.seen, profile: OURS, bootDefault: { closure: OURS, verified: true } };
  expect((await scene.look()).held?.closure).toBe(HAND);
  scene.runs(OURS);
  scene.seen = { ...scene.seen, booted: OURS, bootId: 'boot-2' };
  expect(await scene.look()).toEqual({});
});

test('an apply that failed holds nothing', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(byHand('fix', HAND), 'RolledBack');
  expect(await scene.look()).toEqual({});
});

test('release goes back to what the hub ordered, once, whatever the policy', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(byHand('fix', HAND), 'Committed');
  await scene.look();
  scene.store.releaseAsked = true;
  expect((await scene.look()).held).toBe(undefined);
  expect(scene.store.releaseAsked).toBe(false);
  expect(scene.keeper.wantsRevert).toBe(true);
  const back = await scene.keeper.revert(scene.seen);
  expect(back).toMatchObject({ closure: OURS, origin: 'local', revert: true, confirm: 'none', mode: 'switch' });
  expect(scene.keeper.wantsRevert).toBe(false);
  scene.ends({ ...order('x', OURS), ...back }, 'Committed');
  expect(await scene.look()).toEqual({});
});

test('release has an order that was dropped for the apply carried out', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  scene.ends(order('two', NEXT, { sequence: 2 }), 'Cancelled');
  scene.ends(byHand('fix', HAND), 'Committed');
  await scene.look();
  expect(scene.keeper.isHandled(order('two', NEXT, { sequence: 2 }))).toBe(true);
  expect(scene.keeper.isHandled(order('two', NEXT, { sequence: 3 }))).toBe(true);
  scene.store.releaseAsked = true;
  await scene.look();
  expect(scene.keeper.isHandled(order('two', NEXT, { sequence: 2 }))).toBe(false);
  scene.ends(order('two', NEXT, { sequence: 2 }), 'Committed');
  await scene.look();
  expect(scene.keeper.isHandled(order('two', NEXT, { sequence: 2 }))).toBe(true);
});

test('Report keeps hands off', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  await scene.look();
  scene.runs(HAND);
  expect((await scene.look()).drift).toMatchObject({
    cause: 'LocalRebuild',
    expected: OURS,
    found: HAND,
    state: 'Reported',
  });
  expect(scene.keeper.wantsRevert).toBe(false);
  scene.runs(OURS);
  expect(await scene.look()).toEqual({});
});

test('drift counts only once it has stayed for some seconds', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  await scene.look();
  scene.runs(HAND);
  expect(await scene.keeper.look(scene.journal, scene.seen, false)).toEqual({});
  expect(scene.keeper.unsettled).toBe(true);
  scene.wait(5);
  expect((await scene.keeper.look(scene.journal, scene.seen, false)).drift?.cause).toBe('LocalRebuild');
  expect(scene.keeper.unsettled).toBe(false);
});

test('in mid-attempt nothing is judged', async () => {
  const scene = new Scene();
  scene.ends(order('one', OURS), 'Committed');
  await scene.look();
  scene.runs(NEXT);
  await scene.keeper.look(scene.journal, scene.seen, true);
  scene.wait(60);
  expect(await scene.keeper.look(scene.journal, scene.seen, true)).toEqual({});
});

test('Revert puts it back, gives up after three times in an hour, says so, and begins anew when it is over', async () => {
  const scene = new Scene();
  await scene.keeper.setPolicy('Revert');
  scene.ends(order('one', OURS), 'Committed');
  await scene.look();
  const fight = async () => {
    scene.runs(HAND);
    const told = await scene.look();
    const back = await scene.keeper.revert(scene.seen);
    if (back !== undefined) scene.ends(back, 'Committed');
    return { told, back };
  };
  for (let count = 0; count < 3; count++) {
    const { told, back } = await fight();
    expect(told.drift?.state).toBe('Reverting');
    expect(back?.closure).toBe(OURS);
    expect(await scene.look()).toEqual({});
  }
  expect((await fight()).back).toBe(undefined);
  expect((await scene.look()).drift?.state).toBe('Fights');
  scene.restarted();
  expect((await scene.look()).drift?.state).toBe('Fights');
  expect(scene.keeper.wantsRevert).toBe(false);
  // It stays given up, however long it takes, until the drift is gone.
  scene.wait(7_200);
  expect((await scene.look()).drift?.state).toBe('Fights');
  scene.runs(OURS);
  expect(await scene.look()).toEqual({});
  expect((await fight()).back?.closure).toBe(OURS);
});

test('a truth that can not be read counts as none', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'floe-truth-'));
  try {
    const file = new TruthFile(diskFiles, folder);
    expect(await file.load()).toBe(undefined);
    const { truth, seen } = learn(NO_TRUTH, EMPTY_JOURNAL, 'x');
    await file.save(truth, seen);
    expect(await file.load()).toEqual({ truth, seen: 'x' });
    await file.askRelease();
    expect(await file.isReleaseAsked()).toBe(true);
    await file.forgetRelease();
    expect(await file.isReleaseAsked()).toBe(false);
    await writeFile(join(folder, 'truth.json'), '{"format":1,"tru');
    expect(await file.load()).toBe(undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
});

const anyEnd = fc.record({
  origin: fc.constantFrom('hub', 'local') as fc.Arbitrary<'hub' | 'local'>,
  closure: fc.constantFrom(OURS, NEXT, HAND),
  phase: fc.constantFrom('Committed', 'RebootRequired', 'RolledBack', 'Failed', 'Cancelled') as fc.Arbitrary<
    'Committed' | 'RebootRequired' | 'RolledBack' | 'Failed' | 'Cancelled'
  >,
});

test('however the attempts are looked at, one by one or all at once, the same is held', () => {
  fc.assert(
    fc.property(fc.array(anyEnd, { maxLength: 9 }), (ends) => {
      const scene = new Scene();
      let steps = { truth: NO_TRUTH, seen: undefined as string | undefined };
      ends.forEach(({ origin, closure, phase }, index) => {
        scene.ends(order(`o${index}`, closure, { origin, sequence: index }), phase);
        steps = learn(steps.truth, scene.journal, steps.seen);
      });
      const once = learn(NO_TRUTH, scene.journal, undefined);
      expect(once).toEqual(steps);
      expect(learn(once.truth, scene.journal, once.seen)).toEqual(once);
      const last = ends.findLast(({ phase }) => phase === 'Committed' || phase === 'RebootRequired');
      // What is held is what was kept last, and that was by hand.
      const held = heldOf(once.truth);
      if (held !== undefined) expect(last).toMatchObject({ origin: 'local', closure: held.closure });
    }),
  );
});
