// Scenarios on real clusters with real machines: one after the other in a lane, and as many lanes as there are workers.
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { cached } from './bed/paths.ts';
import { reporters } from './runner/reporters.ts';
import { SCENARIOS } from './runner/scenario-files.ts';

export default defineConfig({
  // With the durations of the last run, by which the longest scenarios begin first; a fresh checkout finds them too.
  cacheDir: cached('vitest'),
  test: {
    reporters: reporters('every test'),
    root: join(import.meta.dirname, '..'),
    include: SCENARIOS,
    globalSetup: ['e2e/runner/lanes.ts'],
    setupFiles: ['e2e/runner/around-scenario.ts'],
    maxWorkers: Number(process.env['FLOE_TEST_LANES'] ?? 1),
    // What a scenario waits for has limits of its own, each with a word of what was missing; this one ends what hangs.
    // A host that others share stands still at times. A scenario that needed its second try says so in the report.
    retry: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 120_000,
  },
});
