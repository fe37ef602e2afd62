// Asks a program a question, and sorts how that can end.
import { ProgramError, type RunProgram } from '../nix/process.ts';

export type Question = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutSeconds: number;
};

export type Asked =
  | { readonly kind: 'answer'; readonly stdout: string }
  | { readonly kind: 'words'; readonly stderr: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'not-run'; readonly message: string };

/** What those who look at sources need. */
export type LookPorts = {
  readonly run: RunProgram;
  /** Where private folders are made; undefined: the system's place for temporary files. */
  readonly workDir?: string | undefined;
  readonly signal: AbortSignal;
};

/** Rejects only when `signal` aborts. */
export async function askProgram(question: Question, { run, signal }: LookPorts): Promise<Asked> {
  try {
    const { code, timedOut, stdout, stderr } = await run(question, { signal });
    if (timedOut) return { kind: 'timeout' };
    return code === 0 ? { kind: 'answer', stdout } : { kind: 'words', stderr };
  } catch (error) {
    if (error instanceof ProgramError) return { kind: 'not-run', message: error.message };
    throw error;
  }
}
