// Runs one program with a time limit, line by line, and ends everything it started.
import { type ChildProcess, spawn } from 'node:child_process';
import { Lines } from './lines.ts';

/** What to run. */
export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole environment; nothing of ours is handed down. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Text for standard input; without it standard input is empty. */
  readonly input?: string;
  /** Seconds after which it is killed. */
  readonly timeoutSeconds: number;
  /** Sees each line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
};

/** How it ended. `stderr` is the last 256 KiB. */
export type Ended = {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly endedBy: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
};

/** The port through which programs run. */
export type RunProgram = (command: Command, options: { signal: AbortSignal }) => Promise<Ended>;

/** A program that could not be started at all, or that wrote more than is read. */
export class ProgramError extends Error {
  override readonly name = 'ProgramError';
}

const MAX_STDOUT = 64 << 20;
const MAX_STDERR = 256 << 10;
/** Between the polite signal and the final one. */
const GRACE_MS = 5_000;

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended in the meantime.
  }
}

/** Keeps the last part of a text that grows, cut at a line. */
class Tail {
  #text = '';
  add(line: string): void {
    this.#text += `${line}\n`;
    if (this.#text.length > 2 * MAX_STDERR) this.#text = this.#text.slice(-MAX_STDERR);
  }
  get text(): string {
    return this.#text.slice(-MAX_STDERR);
  }
}

/**
 * Runs a program to its end. An exit code other than 0 is a result, not an error.
 * @throws ProgramError when it can't be started or writes more than 64 MiB; the signal's reason when that aborts
 */
export const runProgram: RunProgram = async (command, { signal }) => {
  signal.throwIfAborted();
  // A process group of its own, so that what it started ends with it.
  const child = spawn(command.program, [...command.args], {
    env: { ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let timedOut = false;
  let tooMuch = false;
  const timers = new Set<NodeJS.Timeout>();
  const stop = (): void => {
    killGroup(child, 'SIGTERM');
    timers.add(setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS));
  };
  timers.add(
    setTimeout(() => {
      timedOut = true;
      stop();
    }, command.timeoutSeconds * 1000),
  );
  signal.addEventListener('abort', stop, { once: true });

  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_STDOUT) chunks.push(chunk);
    else if (!tooMuch) {
      tooMuch = true;
      stop();
    }
  });
  const tail = new Tail();
  const lines = new Lines((line) => {
    tail.add(line);
    command.onErrorLine?.(line);
  }, MAX_STDERR);
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (piece: string) => lines.add(piece));
  child.stderr.on('end', () => lines.end());
  // A program that ends without reading its input is no error of ours.
  child.stdin.on('error', () => undefined);
  child.stdin.end(command.input ?? '');

  try {
    const end = await new Promise<{ code: number | null; endedBy: NodeJS.Signals | null }>((resolve, reject) => {
      child.once('error', (cause) => {
        reject(new ProgramError(`${command.program} can't be started: ${cause.message}`, { cause }));
      });
      child.once('close', (code, endedBy) => resolve({ code, endedBy }));
    });
    signal.throwIfAborted();
    if (tooMuch) throw new ProgramError(`${command.program} wrote more than ${MAX_STDOUT >> 20} MiB`);
    return { ...end, timedOut, stdout: Buffer.concat(chunks).toString('utf8'), stderr: tail.text };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    killGroup(child, 'SIGKILL');
  }
};
