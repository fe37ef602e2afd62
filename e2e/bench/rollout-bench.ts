// Sets up for the rollout bench as the demo does, runs its course inside the cluster, and removes everything.
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Cluster } from '../bed/cluster.ts';
import type { ProgramName } from '../bed/control-plane.ts';
import { ensureHost } from '../bed/ensure-host.ts';
import { cached, projectDir, recipe } from '../bed/paths.ts';
import { type OnProgress, step } from '../bed/progress.ts';
import { run } from '../bed/run.ts';
import type { RolloutBenchArguments } from './arguments.ts';
import { type Job, OPERATOR_LOG } from './course.ts';
import type { CourseLine } from './course-main.ts';
import { figuresOf, type Measured, type RolloutFigures } from './figures.ts';
import { NAMESPACE } from './objects.ts';
import { SYSTEM } from './operator-process.ts';

export type BenchPorts = {
  readonly onProgress: OnProgress;
  /** A line about what happens in the course. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
};

/** They have no part in a rollout, and the garbage collector's watch on every kind would be a second one. */
const NOT_NEEDED: readonly ProgramName[] = ['controller-manager', 'scheduler', 'kubelet', 'proxy', 'dns', 'containerd'];

/** Runs the bench once. Leaves nothing up, however it ends. */
export async function rolloutBench(given: RolloutBenchArguments, ports: BenchPorts): Promise<RolloutFigures> {
  const { onProgress, signal } = ports;
  await ensureHost({ onProgress, signal });
  await step(onProgress, 'build', 'programs: operator and agent, bundled', async () => {
    await run([process.execPath, join(projectDir, 'scripts/build.ts')], { signal });
  });
  const cluster = await Cluster.open({ name: `bench-${process.pid}`, endsWithParent: true });
  try {
    await cluster.up({ onProgress, signal });
    await step(onProgress, 'kinds', "Floe's kinds; nothing runs but API server and etcd", () => prepare(cluster));
    const cpuProfile = given.cpuProfile === undefined ? undefined : resolve(given.cpuProfile);
    if (cpuProfile !== undefined) await mkdir(cpuProfile, { recursive: true });
    const job: Job = { machines: given.machines, kubeconfig: cluster.kubeconfig, dir: cluster.dir, cpuProfile };
    return figuresOf(await runCourse(cluster, job, ports), availableParallelism());
  } finally {
    await cluster.destroy();
  }
}

async function prepare(cluster: Cluster): Promise<void> {
  await cluster.kubectl(['apply', '-f', join(projectDir, 'crds', 'yaml-without-cel')]);
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all']);
  for (const namespace of [SYSTEM, NAMESPACE]) await cluster.kubectl(['create', 'namespace', namespace]);
  await Promise.all(NOT_NEEDED.map((name) => cluster.daemon(name).stop()));
}

/** In all of the cluster's namespaces, so that whatever it starts ends with the cluster. */
async function runCourse(cluster: Cluster, job: Job, { say, signal }: BenchPorts): Promise<Measured> {
  const main = [process.execPath, recipe('bench', 'course-main.ts'), JSON.stringify(job)];
  const [program = 'nsenter', ...args] = await cluster.enter(main, 'all');
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let errors = '';
  let measured: Measured | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as CourseLine;
    if ('say' in line) say(line.say);
    else measured = line.measured;
  });
  const code = await new Promise<number | null>((ended, failed) => {
    child.once('error', failed);
    child.once('close', ended);
  });
  if (code === 0 && measured !== undefined) return measured;
  throw new Error(`the bench failed: ${errors.trim() || `exit code ${code}`}${await keptLog(cluster)}`);
}

/** Keeps the operator's log beyond the cluster, and returns where it is and its last lines. */
async function keptLog(cluster: Cluster): Promise<string> {
  const log = await readFile(join(cluster.dir, OPERATOR_LOG), 'utf8').catch(() => '');
  if (log === '') return '';
  const kept = cached('logs', 'bench-operator.log');
  await mkdir(cached('logs'), { recursive: true });
  await writeFile(kept, log);
  return `\nThe operator said last (all of it: ${kept}):\n${log.trimEnd().split('\n').slice(-10).join('\n')}`;
}
