// Asks a program a question, and sorts how that can end.
import { ProgramError, type RunProgram } from '../nix/process.ts';

export type Question = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
  /** Bytes of memory that it may take: what a server sends must not fill the operator's. */
  readonly memoryBytes: number;
};

/** Bytes that are read of an answer. */
const MAX_ANSWER = 8 << 20;

export type Asked =
  | { readonly kind: 'answer'; readonly stdout: string }
  | { readonly kind: 'words'; readonly stderr: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'not-run'; readonly message: string };

/** What those who look at sources need. */
export type LookPorts = {
  readonly run: RunProgram;
  /** Runs Nix, a few at once: each may take much memory. Where absent, as `run`. */
  readonly runNix?: RunProgram;
  /** Where private folders are made; undefined: the system's place for temporary files. */
  readonly workDir?: string | undefined;
  readonly signal: AbortSignal;
};

/** Rejects only when `signal` aborts. */
export async function askProgram(question: Question, { run, signal }: LookPorts): Promise<Asked> {
  try {
    const { code, timedOut, stdout, stderr } = await run({ ...question, maxOutputBytes: MAX_ANSWER }, { signal });
    if (timedOut) return { kind: 'timeout' };
    return code === 0 ? { kind: 'answer', stdout } : { kind: 'words', stderr };
  } catch (error) {
    if (error instanceof ProgramError) return { kind: 'not-run', message: error.message };
    throw error;
  }
}
