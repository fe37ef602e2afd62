// A machine that runs systemd: switches and timers are transient units, which outlive the agent.
import type { Done, Health, RunOutcome } from '../attempt/outcome.ts';
import { type Clock, type DeadMan, HandOverError, type HealthQuestion, type Run } from '../attempt/ports.ts';
import type { Paths } from '../paths.ts';
import { awaitRun } from './await-run.ts';
import { activeUnits, startBroken } from './broken-units.ts';
import { type Commander, complaintOf } from './command.ts';
import { carriedEnvironment } from './environment.ts';
import { checkHealth, systemdUnits } from './health.ts';
import type { Host } from './host.ts';
import { ownNetwork } from './network.ts';
import { runEnd, runner } from './run-files.ts';
import { switchUnitArguments } from './switch-unit.ts';
import { timerDelay } from './timer-delay.ts';
import { failedUnits } from './units.ts';

type Settings = {
  readonly paths: Paths;
  readonly program: readonly string[];
  readonly command: Commander;
  readonly clock: Clock;
  /** The agent's own unit. */
  readonly agentUnit: string;
  /** Whether this process is that unit: only then does it hand over. */
  readonly isService: boolean;
};

/** systemd gives the agent this long to be replaced after it asked for its restart. */
const RESTART_MS = 60_000;

const timerUnit = (attempt: string, number: number | '*') => `floe-rescue-${attempt}-${number}`;
const switchUnit = (run: string) => `floe-switch-${run}`;

export class SystemdHost implements Host {
  readonly #settings: Settings;
  readonly handOver?: (signal: AbortSignal) => Promise<never>;

  constructor(settings: Settings) {
    this.#settings = settings;
    if (settings.isService) this.handOver = (signal) => this.#handOver(signal);
  }

  async arm(timer: DeadMan, signal: AbortSignal): Promise<Done> {
    const arm = () => this.#startTimer(timer, signal);
    let done = await arm();
    if (done.kind === 'failed') {
      // One of this number is there if a process died before it could write so down.
      await this.#settings.command('systemctl', ['stop', `${timerUnit(timer.attempt, timer.number)}.timer`], {
        signal,
      });
      done = await arm();
    }
    if (done.kind === 'ok') await this.disarm(timer.attempt, timer.number - 1);
    return done;
  }

  async #startTimer(timer: DeadMan, signal: AbortSignal): Promise<Done> {
    const delay = await timerDelay(this.#settings, timer.seconds, signal);
    if (delay.kind === 'unknown') return { kind: 'failed', message: delay.message };
    const rescue = ['rescue', '--attempt', timer.attempt, '--timer', String(timer.number), '--from', timer.from];
    return this.#systemdRun(
      [
        `--unit=${timerUnit(timer.attempt, timer.number)}`,
        `--description=Undo Floe's attempt ${timer.attempt} unless it is kept in time`,
        delay.option,
        '--timer-property=AccuracySec=1s',
        '--collect',
        '--property=Restart=on-failure',
        '--property=RestartSec=10s',
        '--',
        ...timer.program,
        ...rescue,
      ],
      signal,
    );
  }

  async disarm(attempt: string, number: number): Promise<void> {
    const { command } = this.#settings;
    const signal = AbortSignal.timeout(60_000);
    const pattern = `${timerUnit(attempt, '*')}.timer`;
    const listed = await command('systemctl', ['list-units', '--all', '--plain', '--no-legend', '--full', pattern], {
      signal,
    });
    const units = listed.stdout.split('\n').map((line) => line.trim().split(/\s+/, 1)[0] ?? '');
    const due = units.filter((unit) => Number(/-(\d+)\.timer$/.exec(unit)?.[1] ?? Number.POSITIVE_INFINITY) <= number);
    // The timers alone: the service of one may be this very process.
    if (due.length > 0) await command('systemctl', ['stop', ...due], { signal });
  }

  async run(run: Run, signal: AbortSignal): Promise<RunOutcome> {
    const { paths, program } = this.#settings;
    const unit = switchUnit(run.name);
    const begun = (await runner(paths.runs, run.name)) !== undefined || (await this.#isActive(unit, signal));
    if (!begun && (await runEnd(paths.runs, run.name)) === undefined) {
      const started = await this.#systemdRun(
        [
          `--unit=${unit}`,
          `--description=Floe: ${run.verb} ${run.closure}`,
          '--collect',
          '--service-type=exec',
          '--',
          ...program,
          ...switchUnitArguments(paths, run),
        ],
        signal,
      );
      if (started.kind === 'failed') return { kind: 'not-started', message: started.message };
    }
    const watched = {
      isStarting: () => this.#isActive(unit, signal),
      kill: () => this.killRun(run.name, signal),
    };
    return awaitRun(paths.runs, run, watched, signal);
  }

  failedUnits(signal: AbortSignal): Promise<readonly string[]> {
    return failedUnits(this.#settings.command, signal);
  }

  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health> {
    const { command, clock, paths } = this.#settings;
    const units = systemdUnits(command);
    const { checks: named, resolve } = paths;
    return checkHealth(question, { units, command, clock, named, network: ownNetwork(resolve) }, signal);
  }

  activeUnits(signal: AbortSignal): Promise<readonly string[]> {
    return activeUnits(this.#settings.command, signal);
  }

  startUnits(units: readonly string[], signal: AbortSignal): Promise<Done> {
    return startBroken(this.#settings.command, units, signal);
  }

  async reboot(signal: AbortSignal): Promise<Done> {
    const result = await this.#settings.command('systemctl', ['reboot'], { signal });
    if (result.code !== 0) return { kind: 'failed', message: complaintOf(result) };
    await this.#settings.clock.sleep(10 * 60_000, signal);
    return { kind: 'failed', message: 'systemd was asked, but the machine still runs after 10 minutes' };
  }

  /** Restarts the agent's own unit: from now on it is the new closure's agent, or the timer goes off. */
  async #handOver(signal: AbortSignal): Promise<never> {
    const { command, clock, agentUnit } = this.#settings;
    await command('systemctl', ['restart', '--no-block', agentUnit], { signal });
    await clock.sleep(RESTART_MS, signal);
    throw new HandOverError(
      `${agentUnit} was not restarted within ${RESTART_MS / 1000} s; the timer undoes the switch`,
    );
  }

  /** Restarts the agent's unit if it runs, so that the agent of the closure that runs now is the one at work. */
  async refreshAgent(signal: AbortSignal): Promise<void> {
    const { command, agentUnit } = this.#settings;
    await command('systemctl', ['try-restart', '--no-block', agentUnit], { signal });
  }

  async killRun(name: string, signal: AbortSignal): Promise<void> {
    const unit = `${switchUnit(name)}.service`;
    await this.#settings.command('systemctl', ['kill', '--signal=SIGKILL', unit], { signal });
    await this.#settings.command('systemctl', ['stop', unit], { signal });
  }

  async stopAgent(signal: AbortSignal): Promise<void> {
    await this.#settings.command('systemctl', ['stop', this.#settings.agentUnit], { signal, limitSeconds: 100 });
  }

  async startAgent(signal: AbortSignal): Promise<void> {
    const { command, agentUnit } = this.#settings;
    await command('systemctl', ['reset-failed', agentUnit], { signal });
    await command('systemctl', ['start', '--no-block', agentUnit], { signal });
  }

  async #isActive(unit: string, signal: AbortSignal): Promise<boolean> {
    const result = await this.#settings.command('systemctl', ['is-active', `${unit}.service`], { signal });
    return ['active', 'activating', 'deactivating', 'reloading'].includes(result.stdout.trim());
  }

  async #systemdRun(args: readonly string[], signal: AbortSignal): Promise<Done> {
    const common = ['--quiet', '--no-ask-password', ...carriedEnvironment(process.env)];
    const result = await this.#settings.command('systemd-run', [...common, ...args], { signal });
    return result.code === 0 ? { kind: 'ok' } : { kind: 'failed', message: complaintOf(result) };
  }
}
