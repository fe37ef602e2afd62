// What is kept of a lane for whoever looks into a failure: the logs of its cluster, and what its objects and machines say at that moment.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Cluster } from '../bed/cluster.ts';
import { cached } from '../bed/paths.ts';
import { tryRun } from '../bed/run.ts';

/** Environment variable with the folder of this run's logs; without it there is a folder for runs by hand. */
export const LOG_DIR = 'FLOE_TEST_LOGS';
/** Runs whose logs are kept. */
const RUNS = 3;
const OBJECTS = 'nixconfigs,nixmachines,rollouts.floe.dev,jobs,pods,events,leases';

function logDir(): string {
  return process.env[LOG_DIR] ?? cached('test-logs', 'by-hand');
}

/** A new folder for the logs of a run; those of older runs are removed. */
export async function makeLogDir(): Promise<string> {
  const top = cached('test-logs');
  const dir = join(top, new Date().toISOString().replaceAll(/[:.]/g, '-'));
  await mkdir(dir, { recursive: true });
  const runs = (await readdir(top)).filter((name) => /^\d{4}-/.test(name)).toSorted();
  for (const old of runs.slice(0, -RUNS)) await rm(join(top, old), { recursive: true, force: true });
  return dir;
}

const laneDir = (lane: number): string => join(logDir(), `lane-${lane}`);

/** Copies the logs of a lane's programs, pods and machines' consoles; before its cluster is removed. Throws nothing. */
export async function keepLogs(clusterDir: string, lane: number): Promise<void> {
  const to = laneDir(lane);
  await mkdir(to, { recursive: true });
  // A pod's log may be rotated away meanwhile: cp goes on with the next one.
  await tryRun(['cp', '-r', '--no-dereference', join(clusterDir, 'log', '.'), to]);
}

/** Writes down what the cluster's objects and its machines say now, at the failure of a test. Throws nothing: the test's own error counts. */
export async function keepEvidence(clusterName: string, lane: number, test: string): Promise<void> {
  const to = join(laneDir(lane), 'failures', test.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 80));
  await mkdir(to, { recursive: true });
  const keep = async (name: string, text: Promise<string>): Promise<void> =>
    writeFile(join(to, name), await text.catch((error: unknown) => String(error)));
  const cluster = await Cluster.open({ name: clusterName });
  const machines = await cluster.machines.list();
  await Promise.all([
    keep('objects.yaml', cluster.kubectl(['get', OBJECTS, '-A', '-o', 'yaml'])),
    keep('objects.txt', cluster.kubectl(['get', OBJECTS, '-A', '-o', 'wide'])),
    ...machines.map((machine) =>
      keep(`journal-${machine.name}.txt`, machine.exec(['journalctl', '--no-pager', '-n', '2000', '-o', 'short-iso'])),
    ),
    tryRun(['cp', '-r', join(cluster.dir, 'log', 'pods'), to]),
  ]);
  console.log(
    `lane ${lane}: what its objects and machines said at the failure lies in ${join(basename(dirname(dirname(to))), 'failures', basename(to))}`,
  );
}
