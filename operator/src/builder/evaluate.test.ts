import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Evaluated, evaluateAll, parseEvaluated } from './evaluate.ts';

const path = (name: string) => `/nix/store/miacmq2d49l5qm1xgkpr982m3rd9ax08-${name}`;
const value = (index: number): Evaluated => ({
  kind: 'derivation',
  derivation: path(`${index}.drv`),
  output: 'out',
  path: path(`${index}`),
});

test('every system has its result, whoever fails and whatever the size of a chunk', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { maxLength: 40 }),
      fc.integer({ min: 1, max: 50 }),
      async (fails, size) => {
        const done: number[] = [];
        let evaluations = 0;
        const results = await evaluateAll(fails.length, size, {
          evaluate: async (from, to) => {
            evaluations += 1;
            expect(to - from).toBeLessThanOrEqual(size);
            const range = fails.slice(from, to);
            if (range.some(Boolean)) return { kind: 'failed', message: `${from}` };
            return { kind: 'values', values: range.map((_fail, index) => value(from + index)) };
          },
          onDone: (count) => done.push(count),
        });
        expect(results).toEqual(
          fails.map((fail, index) => (fail ? { kind: 'failed', message: `${index}` } : value(index))),
        );
        expect(done).toEqual([...done].sort((a, b) => a - b));
        // One culprit costs two evaluations for each halving, not one for each machine.
        const culprits = fails.filter(Boolean).length;
        const chunks = Math.ceil(fails.length / size);
        expect(evaluations).toBeLessThanOrEqual(chunks + culprits * 2 * Math.ceil(Math.log2(size + 1)));
      },
    ),
  );
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
