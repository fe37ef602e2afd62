// What a run of vitest found, kept in a file for `npm test`: its last lines name each failure, also one outside a test.
import type { TestCase, TestModule } from 'vitest/node';

/** Something that failed, and the words of its error. `stray`: it belongs to no test, but to a hook or to the run. */
export type Failure = { readonly where: string; readonly what: string; readonly stray?: true };

/** What the tests of one file took. */
export type Cost = {
  readonly file: string;
  readonly seconds: number;
  /** Of a scenario: its own and its cluster's processor time. */
  readonly processorSeconds?: number;
  readonly lane?: number;
};

export type Verdict = {
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** What failed and passed when it was tried again. */
  readonly secondTry: readonly Failure[];
  readonly costs: readonly Cost[];
};

/** What of an error a verdict keeps; it may come from another process, so that any part may be missing. */
type ErrorOfRun = { readonly message?: string; readonly stack?: string };

/** The errors with the lines of their stacks that are ours. */
export function words(errors: readonly ErrorOfRun[]): string {
  const lines = errors.flatMap(({ message, stack }) => (stack ?? message ?? 'an error without a word').split('\n'));
  return lines.filter((line) => !/^ {4}at .*(?:node_modules|node:internal|<anonymous>)/.test(line)).join('\n');
}

export function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

/** `lane 2: `, where the module is a scenario. */
function laneOf(module: TestModule): string {
  const { lane } = module.meta();
  return lane === undefined ? '' : `lane ${lane.number}: `;
}

function costOf(module: TestModule): Cost {
  const { lane } = module.meta();
  const seconds = module.diagnostic().duration / 1000;
  const file = module.relativeModuleId;
  return lane === undefined
    ? { file, seconds }
    : { file, seconds, processorSeconds: lane.processorSeconds, lane: lane.number };
}

/** What failed in a module but in none of its tests: hooks, and the file itself where it can't be loaded. */
export function failuresOutsideTests(module: TestModule): readonly Failure[] {
  return [module, ...module.children.allSuites()].flatMap((suite): Failure[] => {
    const errors = suite.errors();
    const name = suite.type === 'module' ? '' : ` > ${suite.fullName}`;
    const where = `${laneOf(module)}${module.relativeModuleId}${name}`;
    return errors.length > 0 ? [{ where, what: words(errors), stray: true }] : [];
  });
}

/** Counts what vitest reports. A hook, a file that can't be loaded and an error outside all tests count as one failure. */
export function verdictOf(modules: readonly TestModule[], outside: readonly ErrorOfRun[]): Verdict {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const failedTests = tests.flatMap((test): Failure[] => {
    const result = test.result();
    return result.state === 'failed'
      ? [{ where: `${laneOf(test.module)}${nameOf(test)}`, what: words(result.errors) }]
      : [];
  });
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failures: [
      ...failedTests,
      ...modules.flatMap(failuresOutsideTests),
      ...outside.map((error): Failure => ({ where: 'outside of all tests', what: words([error]), stray: true })),
    ],
    secondTry: tests
      .filter((test) => test.diagnostic()?.flaky === true)
      .map((test) => ({
        where: `${laneOf(test.module)}${nameOf(test)}`,
        what: words(test.result().errors ?? []),
      })),
    costs: modules.map(costOf),
  };
}
