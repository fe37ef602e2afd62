// Runs one command to its end and returns what it printed, with a time limit and an error that says what failed.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface RunOptions {
  readonly input?: string;
  /** Instead of `input`: standard input comes from this file. */
  readonly inputFile?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Default 120 s; then SIGTERM, 5 s later SIGKILL. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal;
  /** Called with each line of standard output and error as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command ended with a code other than 0, was not there, or took too long. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly command: readonly string[];
  readonly result: RunResult;
  constructor(command: readonly string[], result: RunResult, why: string) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-12).join('\n');
    super(`${command.join(' ').slice(0, 400)}: ${why}${said ? `\n${said}` : ''}`);
    this.command = command;
    this.result = result;
  }
}

/** Runs `command`, which is a program and its arguments. Never throws for an exit code: see {@link run}. */
export async function tryRun(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError('run: the command is empty');
  const seconds = options.timeoutSeconds ?? 120;
  const file = options.inputFile === undefined ? undefined : openSync(options.inputFile, 'r');
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [file ?? (options.input === undefined ? 'ignore' : 'pipe'), 'pipe', 'pipe'],
  });
  if (file !== undefined) closeSync(file);
  const stdout = collect(child.stdout, options.onLine);
  const stderr = collect(child.stderr, options.onLine);
  child.stdin?.on('error', () => {}); // a command may end without reading its input
  child.stdin?.end(options.input);

  let late = false;
  const stop = (): void => end(child);
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, seconds * 1000);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    if (options.signal?.aborted) stop();
    const code = await closed(child);
    const result = { code, stdout: stdout(), stderr: stderr() };
    if (late) throw new CommandError(command, result, `not done after ${seconds} s`);
    options.signal?.throwIfAborted();
    return result;
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', stop);
  }
}

/** Like {@link tryRun}, but throws {@link CommandError} unless the exit code is 0. Returns standard output. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, options);
  if (result.code !== 0) throw new CommandError(command, result, `exit code ${result.code}`);
  return result.stdout;
}

function closed(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 143)));
  });
}

function end(child: ChildProcess): void {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), 5000).unref();
}

function collect(stream: NodeJS.ReadableStream | null, onLine?: (line: string) => void): () => string {
  const chunks: string[] = [];
  let rest = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (chunk: string) => {
    chunks.push(chunk);
    if (!onLine) return;
    const lines = (rest + chunk).split(/[\r\n]/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim()) onLine(line);
  });
  stream?.on('end', () => {
    if (rest.trim()) onLine?.(rest);
  });
  return () => chunks.join('');
}
