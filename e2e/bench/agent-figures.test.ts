// What the agent bench makes of what it measured.
import { expect, test } from 'vitest';
import { memoryOfRollup } from './agent-cost.ts';
import { type AgentMeasured, agentFiguresOf, describeAgentFigures } from './agent-figures.ts';

const memory = { rss: 61.44, pss: 60.26, anonymous: 16.84 };
const measured: AgentMeasured = {
  byHand: [400, 500, 900],
  brought: [
    { received: 20, running: 700, committed: 1000 },
    { received: 30, running: 750, committed: 1500 },
    { received: 90, running: 2000, committed: 3000 },
  ],
  node: memory,
  fresh: memory,
  afterAttempts: memory,
  idle: { seconds: 90, bytes: 1000, packets: 18, wakes: 9, cpuSeconds: 0.02 },
  writes: 0,
  load: [1.26, 2],
  cpus: 2,
};

test('medians are compared with the bare switch, counts are of an hour', () => {
  expect(agentFiguresOf(measured)).toMatchObject({
    closures: 3,
    byHandMs: { median: 500, least: 400, most: 900 },
    runningOverByHand: 1.5,
    committedOverByHand: 3,
    memoryMiB: { fresh: { rss: 61.4, pss: 60.3, anonymous: 16.8 } },
    idle: { measuredSeconds: 90, bytesPerHour: 40_000, packetsPerHour: 720, apiWritesPerHour: 0, wakesPerHour: 360 },
  });
  expect(describeAgentFigures(agentFiguresOf(measured))).toContain('750 ms (700 to 2000), 1.5 times that');
});

test('memory is read from smaps_rollup; a process that is gone has none', () => {
  const text = 'x [rollup]\nRss:               67084 kB\nPss:               65093 kB\nPss_Anon:          17884 kB\n';
  expect(memoryOfRollup(text)).toMatchObject({ rss: 67084 / 1024, anonymous: 17884 / 1024 });
  expect(() => memoryOfRollup('')).toThrow('no Rss');
});
