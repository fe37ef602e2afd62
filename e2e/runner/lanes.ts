// Makes the lanes, and removes them after the last scenario. What they share is made once; scenarios begin when the first lane is there.
import type { TestProject } from 'vitest/node';
import type { Image } from '../bed/image-layout.ts';
import type { OnProgress } from '../bed/progress.ts';
import { Installation, makeReady } from '../src/installation.ts';
import { stepPrinter } from '../src/terminal.ts';
import { keepLogs } from './evidence.ts';
import { forgetLane, sayLane } from './lane-state.ts';

/** Five machines: enough for a canary and batches. */
const MACHINES = ['m1', 'm2', 'm3', 'm4', 'm5'];

/** Makes one lane; its scenarios wait until it is there, and learn why where it can't be made. */
async function makeLane(name: string, image: Image, onProgress: OnProgress): Promise<Installation> {
  try {
    const installation = await Installation.create({
      name,
      image,
      machines: MACHINES,
      endsWithParent: true,
      onProgress,
    });
    await sayLane(name, { kind: 'ready' });
    return installation;
  } catch (error: unknown) {
    await sayLane(name, { kind: 'failed', why: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  // A cluster that a developer keeps for repeated runs of single scenarios; it is neither made nor removed.
  const kept = process.env['FLOE_TEST_CLUSTER'];
  if (kept !== undefined) {
    project.provide('lanes', [kept]);
    await sayLane(kept, { kind: 'ready' });
    return async () => undefined;
  }
  const names = Array.from({ length: project.config.maxWorkers }, (_, index) => `test-${process.pid}-${index + 1}`);
  const onProgress = stepPrinter();
  await Promise.all(names.map(forgetLane));
  const image = await makeReady({ onProgress, packages: ['metrics', 'ssh', 'proxies', 'gitops'] });
  // One after the other: all at once would keep one another, and the unit tests, from the processors.
  const made: Promise<Installation>[] = [];
  for (const [index, name] of names.entries()) {
    const before = made.at(-1)?.catch(() => undefined) ?? Promise.resolve();
    const say: OnProgress = (progress) => onProgress({ ...progress, detail: `lane ${index + 1}: ${progress.detail}` });
    made.push(before.then(() => makeLane(name, image, say)));
  }
  project.provide('lanes', names);
  // A lane that can't be made fails the scenarios that would have run in it.
  const lanes = made.map((lane) => lane.catch(() => undefined));
  await made[0];
  return async () => {
    await Promise.all(
      (await Promise.all(lanes)).map(async (installation, index) => {
        if (installation === undefined) return;
        await keepLogs(installation.cluster.dir, index + 1);
        await installation.cluster.destroy();
        await forgetLane(installation.cluster.name);
      }),
    );
  };
}
