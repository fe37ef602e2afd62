// What `npm test` prints of a run of vitest while it goes on, and the verdict that it keeps at its end.
import { writeFile } from 'node:fs/promises';
import type { Reporter, TestCase } from 'vitest/node';
import { duration } from '../src/terminal.ts';
import { failuresOutsideTests, nameOf, verdictOf, words } from './verdict.ts';

/** The environment variable with the file that gets the verdict; `npm test` sets it. Without it vitest prints in its own way. */
export const VERDICT_FILE = 'FLOE_TEST_VERDICT';

/** `failures`: what passes is silent, for thousands of tests. */
type Loudness = 'every test' | 'failures';

/** One line of a test that has ended; of one that failed its error too. */
function line(test: TestCase, loudness: Loudness): string | undefined {
  const result = test.result();
  const lane = test.module.meta().lane;
  const where = lane === undefined ? '' : `lane ${lane.number}  `;
  const seconds = duration((test.diagnostic()?.duration ?? 0) / 1000);
  if (result.state === 'failed') {
    return `  ✘ ${where}${nameOf(test)}  ${seconds}\n${words(result.errors).replaceAll(/^/gm, '      ')}`;
  }
  if (loudness === 'failures' || result.state !== 'passed') return undefined;
  const again = test.diagnostic()?.flaky === true ? ', at the second try' : '';
  return `  ✔ ${where}${nameOf(test)}  ${seconds}${again}`;
}

/** vitest's own reporter, or one for `npm test`: a line for each test as it ends, and the verdict in a file. */
export function reporters(loudness: Loudness): ['default'] | [Reporter] {
  const file = process.env[VERDICT_FILE];
  if (file === undefined) return ['default'];
  return [
    {
      onTestCaseResult: (test) => {
        const said = line(test, loudness);
        if (said !== undefined) console.log(said);
      },
      onTestModuleEnd: (module) => {
        for (const { where, what } of failuresOutsideTests(module)) {
          console.log(`  ✘ ${where}\n${what.replaceAll(/^/gm, '      ')}`);
        }
      },
      onUserConsoleLog: ({ content }) => {
        if (loudness === 'every test') process.stdout.write(content);
      },
      onTestRunEnd: (modules, outside) => writeFile(file, JSON.stringify(verdictOf(modules, outside))),
    },
  ];
}
