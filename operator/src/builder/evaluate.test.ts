import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EvaluateOptions, evaluateAll } from './evaluate.ts';
import { type Evaluated, parseEvaluated } from './evaluated.ts';

const MIB = 2 ** 20;
const path = (name: string) => `/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-${name}`;
const value = (index: number): Evaluated => ({
  kind: 'derivation',
  derivation: path(`${index}.drv`),
  output: 'out',
  path: path(`${index}`),
});

type Machine = { readonly takes: number; readonly fails?: string };

/** A Nix that needs so much memory for each machine, and counts what runs at once. */
async function evaluate(machines: readonly Machine[], options: Partial<EvaluateOptions> = {}) {
  const seen = { evaluations: 0, running: 0, most: 0, peak: 0, now: 0, done: [] as number[] };
  const results = await evaluateAll(machines.length, {
    size: 1,
    budgetBytes: 4096 * MIB,
    processors: 8,
    evaluate: async (from, to, memoryBytes) => {
      const range = machines.slice(from, to);
      const needed = range.reduce((sum, { takes }) => sum + takes * MIB, 0);
      const peakBytes = Math.min(needed, memoryBytes);
      seen.evaluations += 1;
      seen.running += 1;
      seen.most = Math.max(seen.most, seen.running);
      seen.now += peakBytes;
      seen.peak = Math.max(seen.peak, seen.now);
      await new Promise(setImmediate);
      seen.running -= 1;
      seen.now -= peakBytes;
      if (needed > memoryBytes) return { kind: 'out-of-memory', message: 'too little memory', peakBytes };
      const failed = range.find(({ fails }) => fails !== undefined);
      if (failed?.fails !== undefined) return { kind: 'failed', message: failed.fails, peakBytes };
      return { kind: 'values', values: range.map((_machine, index) => value(from + index)), peakBytes };
    },
    onDone: (count) => seen.done.push(count),
    ...options,
  });
  return { results, ...seen };
}

const fleet = (count: number, machine: Machine = { takes: 800 }) => Array<Machine>(count).fill(machine);

test('every machine has its own result, in whatever size and memory, and the memory is never planned beyond', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ takes: fc.integer({ min: 100, max: 1500 }), broken: fc.boolean() }), { maxLength: 30 }),
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 8 }),
      async (list, size, processors) => {
        const machines = list.map(({ takes, broken }, index) => ({ takes, ...(broken ? { fails: `${index}` } : {}) }));
        const budgetBytes = 1600 * MIB;
        const { results, peak, most, done } = await evaluate(machines, { size, processors, budgetBytes });
        expect(results).toEqual(
          machines.map(({ fails }, index) => (fails === undefined ? value(index) : { kind: 'failed', message: fails })),
        );
        expect(peak).toBeLessThanOrEqual(budgetBytes);
        expect(most).toBeLessThanOrEqual(processors);
        expect(done).toEqual(machines.map((_machine, index) => index + 1).filter((count) => done.includes(count)));
      },
    ),
  );
});

test('the first is measured alone; then as many run as processors and memory allow', async () => {
  expect((await evaluate(fleet(20))).most).toBe(4);
  expect((await evaluate(fleet(20), { processors: 2 })).most).toBe(2);
  expect((await evaluate(fleet(20), { budgetBytes: 900 * MIB })).most).toBe(1);
});

test('one that takes more than its share is evaluated again with all of the memory', async () => {
  const machines = [...fleet(9), { takes: 3000 }, ...fleet(9)];
  const { results, evaluations } = await evaluate(machines);
  expect(results.every(({ kind }) => kind === 'derivation')).toBe(true);
  expect(evaluations).toBe(machines.length + 1);
});

test('one that takes more than there is says so, and holds up no other', async () => {
  const { results } = await evaluate([...fleet(9), { takes: 5000 }, ...fleet(9)]);
  expect(results.flatMap((result) => (result.kind === 'failed' ? [result.message] : []))).toEqual([
    'too little memory',
  ]);
});

test('a broken machine costs one evaluation', async () => {
  const machines = [...fleet(9), { takes: 800, fails: 'typo' }, ...fleet(9)];
  expect((await evaluate(machines)).evaluations).toBe(machines.length);
});

test.each([24, 100, 1000])('a mistake that all of %i machines share costs four evaluations', async (count) => {
  for (const size of [1, 24]) {
    const { results, evaluations } = await evaluate(fleet(count, { takes: 800, fails: 'typo' }), { size });
    expect(evaluations).toBe(4);
    expect(results[0]).toEqual({ kind: 'failed', message: 'typo' });
    expect(results[1]).toEqual({
      kind: 'failed',
      message: 'not evaluated, since 4 of 4 others fail with the same words: typo',
    });
  }
});

test('a mistake of some is not taken for one of all', async () => {
  const machines = fleet(24).map((machine, index) => (index % 23 === 0 ? { ...machine, fails: 'typo' } : machine));
  const { results } = await evaluate(machines);
  expect(results.filter(({ kind }) => kind === 'failed')).toHaveLength(2);
});

test('an evaluation that is ended ends all of it', async () => {
  const ended = evaluate(fleet(20), { evaluate: async () => Promise.reject(new Error('told to stop')) });
  await expect(ended).rejects.toThrow('told to stop');
});

test.each([
  ['not JSON', 'x', 1, 'no JSON'],
  ['too few', '[]', 1, '1 results'],
])('%s', (_what, text, count, words) => {
  expect(parseEvaluated(text, count)).toMatchObject({ kind: 'failed', message: expect.stringContaining(words) });
});

test.each([
  [{ drv: path('a.drv'), out: path('a'), output: 'out' }, { kind: 'derivation' }],
  [{ error: 'the flake has no x' }, { kind: 'failed', message: 'the flake has no x' }],
  [
    { drv: path('a.drv'), out: '/1abc', output: 'out' },
    { kind: 'failed', message: expect.stringContaining('content-addressed') },
  ],
  [{ drv: '/etc/passwd', out: path('a'), output: 'out' }, { kind: 'failed' }],
  [{ drv: path('a.drv'), out: path('a'), output: 'out^*' }, { kind: 'failed' }],
  [null, { kind: 'failed' }],
])('%j', (one, expected) => {
  expect(parseEvaluated(JSON.stringify([one]), 1)).toMatchObject({ kind: 'values', values: [expected] });
});
