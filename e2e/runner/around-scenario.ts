// Runs around each scenario, in its process: says in which lane it ran and what it cost, and keeps what its cluster says when a test fails.
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { cgroupSeconds, processSeconds } from '../bed/processor-time.ts';
import { keepEvidence } from './evidence.ts';
import { laneCluster, laneNumber } from './lane.ts';
import { laneIsReady } from './lane-state.ts';

declare module 'vitest' {
  interface TaskMeta {
    /** Of a scenario's file: where it ran, and the processor time that it and its cluster took, in seconds. */
    lane?: { readonly number: number; readonly processorSeconds: number };
  }
}

const used = async (): Promise<number> => (await cgroupSeconds(`floe-${laneCluster()}`)) + (await processSeconds());

await laneIsReady(laneCluster());
const before = await used();

// biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures a hook wants.
beforeAll(({}, suite) => {
  suite.meta.lane = { number: laneNumber(), processorSeconds: 0 };
});

beforeEach(({ onTestFailed, task }) => {
  onTestFailed(() => keepEvidence(laneCluster(), laneNumber(), task.name));
});

// biome-ignore lint/correctness/noEmptyPattern: as above.
afterAll(async ({}, suite) => {
  suite.meta.lane = { number: laneNumber(), processorSeconds: (await used()) - before };
});
