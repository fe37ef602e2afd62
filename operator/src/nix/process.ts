// Runs one program with a time limit, line by line, and ends everything it started.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
  /** Bytes of memory that it may take by itself; beyond them it gets none and ends with an error. */
  readonly memoryBytes?: number;
  /** Bytes of standard output that are read; 64 MiB where nothing is said. More ends it. */
  readonly maxOutputBytes?: number;
  /** Sees each line of standard error as it comes. */
  readonly onErrorLine?: (line: string) => void;
};

/** How it ended. `stderr` is the last 256 KiB, `peakBytes` the memory at its peak, 0 where that could not be seen. */
export type Ended = {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly endedBy: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly peakBytes?: number;
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

/** A shell that gives the program its limit of memory and becomes the program. */
function started({ program, args, memoryBytes }: Command): readonly [string, readonly string[]] {
  if (memoryBytes === undefined) return [program, args];
  const kib = String(Math.max(1, Math.floor(memoryBytes / 1024)));
  return ['/bin/sh', ['-c', 'ulimit -d "$1" && shift && exec "$@"', 'sh', kib, program, ...args]];
}

/** The exit code of a shell that does not find the program. */
const NOT_FOUND = 127;

/** Watches how much memory a process takes. Linux keeps the peak, so the last look is the best. */
class PeakMemory {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor(pid: number | undefined) {
    this.#timer = setInterval(() => this.#look(pid), PEAK_INTERVAL_MS);
  }

  #look(pid: number | undefined): void {
    if (pid === undefined) return;
    try {
      const kib = /^VmHWM:\s+(\d{1,15}) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      this.#bytes = Math.max(this.#bytes, Number(kib ?? 0) * 1024);
    } catch {
      // It has ended in the meantime.
    }
  }

  end(): number {
    clearInterval(this.#timer);
    return this.#bytes;
  }
}

const PEAK_INTERVAL_MS = 100;

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
 * @throws ProgramError when it can't be started or writes more than it may; the signal's reason when that aborts
 */
export const runProgram: RunProgram = async (command, { signal }) => {
  signal.throwIfAborted();
  // A process group of its own, so that what it started ends with it.
  const [program, args] = started(command);
  const child = spawn(program, [...args], {
    env: { ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const peak = new PeakMemory(child.pid);
  const maxOutput = command.maxOutputBytes ?? MAX_STDOUT;
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
    if (bytes <= maxOutput) chunks.push(chunk);
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
    if (tooMuch) throw new ProgramError(`${command.program} wrote more than ${Math.ceil(maxOutput / 2 ** 20)} MiB`);
    if (command.memoryBytes !== undefined && end.code === NOT_FOUND)
      throw new ProgramError(`${command.program} can't be started: ${tail.text.trim().slice(-200)}`);
    return {
      ...end,
      timedOut,
      stdout: Buffer.concat(chunks).toString('utf8'),
      stderr: tail.text,
      peakBytes: peak.end(),
    };
  } finally {
    peak.end();
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    killGroup(child, 'SIGKILL');
  }
};
