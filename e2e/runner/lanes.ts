// Makes the lanes before the first scenario, and removes them after the last. What they share is made once.
import type { TestProject } from 'vitest/node';
import { Installation, makeReady } from '../src/installation.ts';
import { stepPrinter } from '../src/terminal.ts';
import { keepLogs } from './evidence.ts';
import type {} from './lane.ts';

/** Five machines: enough for a canary and batches. */
const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // A cluster that a developer keeps for repeated runs of single scenarios; it is neither made nor removed.
  const kept = process.env['FLOE_TEST_CLUSTER'];
  if (kept !== undefined) {
    project.provide('clusters', [kept]);
    return async () => undefined;
  }
  const count = project.config.maxWorkers;
  const names = Array.from({ length: count }, (_, index) => `test-${process.pid}-${index + 1}`);
  const onProgress = stepPrinter();
  const image = await makeReady({ onProgress, packages: ['metrics', 'ssh', 'proxies', 'gitops'] });
  const lanes = await Promise.all(
    names.map((name, index) =>
      Installation.create({
        name,
        image,
        machines: MACHINES,
        endsWithParent: true,
        onProgress: (progress) => onProgress({ ...progress, detail: `lane ${index + 1}: ${progress.detail}` }),
      }),
    ),
  );
  project.provide('clusters', names);
  return async () => {
    await Promise.all(
      lanes.map(async ({ cluster }, index) => {
        await keepLogs(cluster.dir, index + 1);
        await cluster.destroy();
      }),
    );
  };
}
