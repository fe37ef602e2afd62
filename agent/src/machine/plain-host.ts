// A machine under --root: no systemd to ask, so switches and timers are processes of their own, apart from the agent.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Done, Health, RunOutcome } from '../attempt/outcome.ts';
import type { DeadMan, HealthQuestion, Run } from '../attempt/ports.ts';
import type { Paths } from '../paths.ts';
import { realClock } from '../real-clock.ts';
import { awaitRun } from './await-run.ts';
import { runCommand } from './command.ts';
import { checkHealth } from './health.ts';
import type { Host } from './host.ts';
import { ownNetwork } from './network.ts';
import { identify, lives, type ProcessId, runEnd, runner, switchProcess } from './run-files.ts';
import { switchUnitArguments } from './switch-unit.ts';

type Settings = {
  readonly paths: Paths;
  /** Command line of the agent that runs. */
  readonly program: readonly string[];
  /** Gets what a switch said, once it has ended. */
  readonly heard: (text: string) => void;
};

/** Starts a process that outlives the agent; what it says goes to a file. */
async function startApart(command: readonly string[], log: string): Promise<ChildProcess> {
  const [program = '', ...args] = command;
  const output = await open(log, 'a', 0o600);
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', output.fd, output.fd] });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    return child;
  } finally {
    await output.close();
  }
}

function failure(error: unknown): Done {
  return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
}

export class PlainHost implements Host {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async arm(timer: DeadMan, _signal: AbortSignal): Promise<Done> {
    const { paths } = this.#settings;
    try {
      await mkdir(paths.runs, { recursive: true, mode: 0o700 });
      await this.#stopTimer(timer.attempt, timer.number);
      const rescue = ['rescue', '--attempt', timer.attempt, '--timer', String(timer.number), '--from', timer.from];
      const command = [...timer.program, '--root', paths.root, ...rescue, '--after', String(timer.seconds)];
      const child = await startApart(command, join(paths.runs, `${timer.attempt}-timer.log`));
      const id = await identify(child.pid ?? 0);
      if (id === undefined) return { kind: 'failed', message: 'the process of the timer ended at once' };
      await writeFile(this.#timerFile(timer.attempt, timer.number), JSON.stringify(id));
    } catch (error: unknown) {
      return failure(error);
    }
    await this.disarm(timer.attempt, timer.number - 1);
    return { kind: 'ok' };
  }

  async disarm(attempt: string, number: number): Promise<void> {
    for (let one = number; one > 0; one--) await this.#stopTimer(attempt, one);
  }

  async run(run: Run, signal: AbortSignal): Promise<RunOutcome> {
    const { paths, program, heard } = this.#settings;
    await mkdir(paths.runs, { recursive: true, mode: 0o700 });
    const log = join(paths.runs, `${run.name}.log`);
    let child: ChildProcess | undefined;
    if ((await runner(paths.runs, run.name)) === undefined && (await runEnd(paths.runs, run.name)) === undefined) {
      try {
        child = await startApart([...program, ...switchUnitArguments(paths, run)], log);
      } catch (error: unknown) {
        return { kind: 'not-started', message: error instanceof Error ? error.message : String(error) };
      }
    }
    const watched = {
      isStarting: async () => child !== undefined && child.exitCode === null && child.signalCode === null,
      kill: () => this.killRun(run.name),
    };
    const outcome = await awaitRun(paths.runs, run, watched, signal);
    heard(await readFile(log, 'utf8').catch(() => ''));
    return outcome;
  }

  async killRun(name: string): Promise<void> {
    const { paths } = this.#settings;
    const [wrapper, child] = await Promise.all([runner(paths.runs, name), switchProcess(paths.runs, name)]);
    for (const one of [wrapper, child]) {
      if (one !== undefined && (await lives(one))) process.kill(-one.pid, 'SIGKILL');
    }
  }

  async failedUnits(): Promise<readonly string[]> {
    return [];
  }

  /** No unit can be asked here, so what the switch itself said of them stands. */
  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health> {
    const { checks: named, resolve } = this.#settings.paths;
    return checkHealth(
      question,
      { command: runCommand, clock: realClock, named, network: ownNetwork(resolve) },
      signal,
    );
  }

  #timerFile(attempt: string, number: number): string {
    return join(this.#settings.paths.runs, `${attempt}-timer-${number}`);
  }

  async #stopTimer(attempt: string, number: number): Promise<void> {
    const text = await readFile(this.#timerFile(attempt, number), 'utf8').catch(() => undefined);
    if (text === undefined) return;
    const timer = JSON.parse(text) as ProcessId;
    if (timer.pid !== process.pid && (await lives(timer))) process.kill(timer.pid, 'SIGKILL');
    await rm(this.#timerFile(attempt, number), { force: true });
  }
}
