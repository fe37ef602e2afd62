// What a run of vitest found, kept in a file for `npm test`: its last lines name each failure, also one outside a test.
import { writeFile } from 'node:fs/promises';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Something that failed, and the words of its error. `stray`: it belongs to no test, but to a hook or to the run. */
export type Failure = { readonly where: string; readonly what: string; readonly stray?: true };

export type Verdict = {
  readonly passed: number;
  readonly failures: readonly Failure[];
  /** What failed and passed when it was tried again. */
  readonly secondTry: readonly Failure[];
};

/** What of an error a verdict keeps; it may come from another process, so that any part may be missing. */
type ErrorOfRun = { readonly message?: string; readonly stack?: string };

/** The errors with the lines of their stacks that are ours. */
function words(errors: readonly ErrorOfRun[]): string {
  const lines = errors.flatMap(({ message, stack }) => (stack ?? message ?? 'an error without a word').split('\n'));
  return lines.filter((line) => !/^ {4}at .*(?:node_modules|node:internal|<anonymous>)/.test(line)).join('\n');
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

/** Counts what vitest reports. A hook, a file that can't be loaded and an error outside all tests count as one failure. */
export function verdictOf(modules: readonly TestModule[], outside: readonly ErrorOfRun[]): Verdict {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const failedTests = tests.flatMap((test): Failure[] => {
    const result = test.result();
    return result.state === 'failed' ? [{ where: nameOf(test), what: words(result.errors) }] : [];
  });
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const failedSuites = suites.flatMap((suite): Failure[] => {
    const errors = suite.errors();
    const where =
      suite.type === 'module' ? suite.relativeModuleId : `${suite.module.relativeModuleId} > ${suite.fullName}`;
    return errors.length > 0 ? [{ where, what: words(errors), stray: true }] : [];
  });
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failures: [
      ...failedTests,
      ...failedSuites,
      ...outside.map((error): Failure => ({ where: 'outside of all tests', what: words([error]), stray: true })),
    ],
    secondTry: tests
      .filter((test) => test.diagnostic()?.flaky === true)
      .map((test) => ({ where: nameOf(test), what: words(test.result().errors ?? []) })),
  };
}

/** The environment variable with the file that gets the verdict; `npm test` sets it. */
export const VERDICT_FILE = 'FLOE_TEST_VERDICT';

/** The reporters of a run: vitest's own, and one that writes the verdict where a file is named for it. */
export function reporters(): ['default', ...Reporter[]] {
  const file = process.env[VERDICT_FILE];
  if (file === undefined) return ['default'];
  const keep: Reporter = {
    onTestRunEnd: (modules, outside) => writeFile(file, JSON.stringify(verdictOf(modules, outside))),
  };
  return ['default', keep];
}
