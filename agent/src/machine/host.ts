// The part of a machine that differs between systemd and a plain folder: units, timers, processes that outlive the agent.
import type { Done, Health, RunOutcome } from '../attempt/outcome.ts';
import type { DeadMan, HealthQuestion, Run } from '../attempt/ports.ts';

export interface Host {
  arm(timer: DeadMan, signal: AbortSignal): Promise<Done>;
  disarm(attempt: string, number: number): Promise<void>;
  run(run: Run, signal: AbortSignal): Promise<RunOutcome>;
  failedUnits(signal: AbortSignal): Promise<readonly string[]>;
  checkHealth(question: HealthQuestion, signal: AbortSignal): Promise<Health>;
  handOver?(signal: AbortSignal): Promise<never>;
  /** Ends a run of switch-to-configuration that nobody waits for any more. */
  killRun(name: string, signal: AbortSignal): Promise<void>;
  /** Stops the agent's unit, whichever closure it is of. */
  stopAgent?(signal: AbortSignal): Promise<void>;
  /** Starts the agent's unit, as the closure that runs now has it. */
  startAgent?(signal: AbortSignal): Promise<void>;
  /** Lets the agent of the closure that runs now be the one at work. */
  refreshAgent?(signal: AbortSignal): Promise<void>;
  /** Units that are active now. */
  activeUnits?(signal: AbortSignal): Promise<readonly string[]>;
  /** Starts those of the units that are broken now. */
  startUnits?(units: readonly string[], signal: AbortSignal): Promise<Done>;
  reboot?(signal: AbortSignal): Promise<Done>;
}
