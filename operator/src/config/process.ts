// Runs a program with a time limit and bounded output; never through a shell.
import { spawn } from 'node:child_process';

export type RunOptions = {
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
};

/** How a program ended. Output is cut at 4 MiB, words on standard error at their last 64 KiB. */
export type RunResult =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'timeout'; readonly stderr: string }
  | { readonly kind: 'too-much' }
  | { readonly kind: 'not-started'; readonly message: string };

/** The port through which sources are looked at. Rejects only when `signal` aborts. */
export type Run = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

const MAX_STDOUT = 4 << 20;
const MAX_STDERR = 64 << 10;

/** `Run` with real processes. The program and what it started are killed at the limit. */
export const runProcess: Run = (command, args, { env, timeoutSeconds, signal }) => {
  signal.throwIfAborted();
  const done = Promise.withResolvers<RunResult>();
  // A group of its own: git and nix start helpers (ssh, git-remote-https) that would outlive them.
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let stdout = '';
  let size = 0;
  let stderr = '';
  let early: RunResult | undefined;

  const kill = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It ended in the meantime.
    }
  };
  const end = (result: RunResult) => {
    early ??= result;
    kill();
  };
  const timer = setTimeout(() => end({ kind: 'timeout', stderr }), timeoutSeconds * 1000);
  signal.addEventListener('abort', kill, { once: true });

  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    size += text.length;
    if (size > MAX_STDOUT) end({ kind: 'too-much' });
    else stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-MAX_STDERR);
  });
  child.on('error', (error) => end({ kind: 'not-started', message: error.message }));
  child.on('error', () => finish(null));
  child.on('close', (code) => finish(code));

  function finish(code: number | null): void {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
    if (signal.aborted) done.reject(signal.reason);
    else done.resolve(early ?? { kind: 'exited', code: code ?? 137, stdout, stderr });
  }
  return done.promise;
};
