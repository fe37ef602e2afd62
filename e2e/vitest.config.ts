// Scenarios on a real cluster with real machines: one after the other, in one installation that is made before them.
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { reporters } from './src/verdict.ts';

/** By name, and not the longest or the last to fail first: what is read in the output is the same each time. */
class ByName extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  test: {
    reporters: reporters(),
    root: join(import.meta.dirname, '..'),
    include: ['e2e/scenarios/*.e2e.test.ts', 'operator/src/**/*.e2e.test.ts', 'cli/src/**/*.e2e.test.ts'],
    globalSetup: ['e2e/src/shared-installation.ts'],
    fileParallelism: false,
    sequence: { sequencer: ByName },
    maxWorkers: 1,
    // What a scenario waits for has limits of its own, each with a word of what was missing; this one ends what hangs.
    // A host that others share stands still at times. A scenario that needed its second try says so in the report.
    retry: 1,
    testTimeout: 600_000,
    hookTimeout: 300_000,
    teardownTimeout: 120_000,
  },
});
