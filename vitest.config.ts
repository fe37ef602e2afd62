// Unit and property tests; what needs the real cluster is in e2e and has a runner of its own.
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { reporters } from './e2e/runner/reporters.ts';

export default defineConfig({
  test: {
    reporters: reporters('failures'),
    include: ['{crds,operator,agent,cli,e2e,scripts,charts}/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/*.e2e.test.ts'],
    // One more than there are processors, for the longest files wait for timers most of the time. Nothing else runs beside these.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
