// What is printed where a command fails: a sentence for people, JSON for programs.
import { InputError } from './input-error.ts';
import { asksForJson } from './output.ts';

export type FailureOutput = { readonly stdout: string; readonly stderr: string; readonly code: number };

/** Which of the two streams a person reads. */
export type Terminals = { readonly stdout: boolean; readonly stderr: boolean };

const FAILED = 1;
const USAGE = 2;

/**
 * Wrong input is `FIELD: ERROR; REMEDY` on a terminal, and one line of JSON, `{error, field, remedy}`, on a pipe and where
 * JSON was asked for. Programs that read the output of `plan`, or JSON, find it there as well.
 */
export function failureOutput(error: unknown, argv: readonly string[], terminals: Terminals): FailureOutput {
  if (!(error instanceof InputError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { stdout: '', stderr: `floe: ${message}\n`, code: FAILED };
  }
  const json = `${JSON.stringify(error)}\n`;
  const asked = asksForJson(argv);
  const isRead = !terminals.stdout && (asked || argv[0] === 'plan');
  const sentence = `floe: ${error.field}: ${error.message}; ${error.remedy}\n`;
  return { stdout: isRead ? json : '', stderr: asked || !terminals.stderr ? json : sentence, code: USAGE };
}
