// Makes the installation that all scenarios share, before the first of them, and removes it after the last.
import type { TestProject } from 'vitest/node';
import { Installation } from './installation.ts';
import { stepPrinter } from './terminal.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Name of the cluster that the scenarios share. */
    cluster: string;
  }
}

/** Five machines: enough for a canary and batches. */
const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // A cluster that somebody keeps for repeated runs of single scenarios; it is neither made nor removed.
  const kept = process.env['FLOE_TEST_CLUSTER'];
  if (kept !== undefined) {
    project.provide('cluster', kept);
    return async () => undefined;
  }
  const name = `test-${process.pid}`;
  const installation = await Installation.create({
    name,
    machines: MACHINES,
    endsWithParent: true,
    onProgress: stepPrinter(),
  });
  project.provide('cluster', name);
  return async () => {
    await installation.cluster.destroy();
  };
}
