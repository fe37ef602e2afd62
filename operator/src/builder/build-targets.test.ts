import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BuildTarget, buildPastFailures, type RunOutcome } from './build-targets.ts';

const target = (name: string): BuildTarget => ({ derivation: `${name}.drv`, output: 'out', path: name });

/** A Nix in which `plain` targets fail with a cause of their own, and a `fatal` one ends the run before anything is built. */
function fakeNix(kinds: ReadonlyMap<string, 'good' | 'plain' | 'fatal'>) {
  const built = new Set<string>();
  let runs = 0;
  const run = async (targets: readonly BuildTarget[]): Promise<RunOutcome> => {
    runs += 1;
    const isFatal = targets.some(({ path }) => kinds.get(path) === 'fatal');
    if (!isFatal) for (const { path } of targets) if (kinds.get(path) === 'good') built.add(path);
    return {
      missing: targets.filter(({ path }) => !built.has(path)),
      blamed: new Map(
        isFatal
          ? []
          : targets
              .filter(({ path }) => kinds.get(path) === 'plain')
              .map(({ path, derivation }) => [derivation, `${path} failed`]),
      ),
      general: isFatal ? 'fatal' : '',
    };
  };
  return { run, built, runs: () => runs };
}

test('every good target is built, every bad one has its own reason', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('good' as const, 'plain' as const, 'fatal' as const), { minLength: 1, maxLength: 8 }),
      async (list) => {
        const kinds = new Map(list.map((kind, index) => [`t${index}`, kind]));
        const nix = fakeNix(kinds);
        const failures = await buildPastFailures([...kinds.keys()].map(target), nix.run);
        for (const [path, kind] of kinds) {
          expect(nix.built.has(path)).toBe(kind === 'good');
          expect(failures.get(path)).toBe(kind === 'good' ? undefined : kind === 'plain' ? `${path} failed` : 'fatal');
        }
      },
    ),
  );
});

test('a full disk is no reason to try again', async () => {
  let runs = 0;
  const failures = await buildPastFailures([target('a'), target('b')], async (missing) => {
    runs += 1;
    return { missing, blamed: new Map(), general: 'No space left on device' };
  });
  expect(runs).toBe(1);
  expect([...failures.values()]).toEqual(['No space left on device', 'No space left on device']);
});

test('the number of runs is bounded', async () => {
  let runs = 0;
  const targets = Array.from({ length: 2000 }, (_, index) => target(`t${index}`));
  const failures = await buildPastFailures(targets, async (missing) => {
    runs += 1;
    return { missing, blamed: new Map(), general: 'odd' };
  });
  expect(failures.size).toBe(2000);
  expect(runs).toBeLessThan(100);
});
