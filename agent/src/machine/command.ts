// Runs a program to its end with a limit, and returns what it said as data.
import { spawn } from 'node:child_process';

export type CommandResult = {
  /** Exit code; undefined where a signal ended it or it could not be started. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Why there is no exit code. */
  readonly failure?: string;
};

export type CommandOptions = {
  readonly signal: AbortSignal;
  /** Default 60. */
  readonly limitSeconds?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Everything that it started goes with it when its time is up: for scripts. */
  readonly group?: boolean;
};

/** Runs programs; a port, so that tests need none of them. */
export type Commander = (program: string, args: readonly string[], options: CommandOptions) => Promise<CommandResult>;

/** Output that is kept of each stream: a closure of 100,000 paths fits. */
const MAX_OUTPUT_BYTES = 128 * 1024 * 1024;

/** Runs a program. Rejects only when the caller's signal aborts. */
export const runCommand: Commander = (program, args, { signal, limitSeconds = 60, env, group = false }) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const limit = AbortSignal.timeout(limitSeconds * 1000);
    const child = spawn(program, [...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      signal: AbortSignal.any([signal, limit]),
      killSignal: group ? 'SIGKILL' : 'SIGTERM',
      detached: group,
    });
    const { pid } = child;
    if (group && pid !== undefined) {
      const killGroup = () => {
        try {
          process.kill(-pid, 'SIGKILL');
        } catch {
          // It has just ended by itself.
        }
      };
      const over = AbortSignal.any([signal, limit]);
      over.addEventListener('abort', killGroup, { once: true });
      child.once('close', () => over.removeEventListener('abort', killGroup));
    }
    const streams = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let size = 0;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_OUTPUT_BYTES) streams[name].push(chunk);
        else child.kill('SIGKILL');
      });
    }
    let failure: string | undefined;
    child.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code === 'ENOENT' ? `${program} is not in PATH` : error.message;
      if (limit.aborted) failure = `not done after ${limitSeconds} s`;
      if (child.pid === undefined) finish(undefined, null);
    });
    child.on('close', finish);
    function finish(code: number | null | undefined, killer: NodeJS.Signals | null): void {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const why = failure ?? (killer === null ? undefined : `killed by ${killer}`);
      resolve({
        code: why === undefined ? (code ?? undefined) : undefined,
        stdout: Buffer.concat(streams.stdout).toString('utf8'),
        stderr: Buffer.concat(streams.stderr).toString('utf8'),
        ...(why === undefined ? {} : { failure: why }),
      });
    }
  });

/** What Nix says after the cause, of everything that now fails too. */
const CONSEQUENCE =
  /^error: (?:build of .* failed|some (?:substitutes|references|outputs) |\d+ dependenc|cannot build |path '[^']*' is required, but)/;

/** What a program said of its failure, the cause before what follows from it, in one line of at most 500 characters. */
export function complaintOf(result: CommandResult): string {
  const lines = result.stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const errors = lines.filter((line) => line.startsWith('error:'));
  const causes = errors.filter((line) => line !== 'error:' && !CONSEQUENCE.test(line));
  // A trace of the evaluator begins with a bare "error:" and ends with the cause; otherwise the cause comes first.
  const cause = errors[0] === 'error:' ? causes.at(-1) : causes[0];
  const said = (cause ?? errors.at(-1) ?? lines.slice(-3).join(' / ')).replace(/^error:\s*/, '');
  return (said || result.failure || `exit code ${result.code}`).slice(0, 500);
}
