// How a command prints: text for people, or JSON for programs.
import type { Flags } from './flags.ts';
import { InputError } from './input-error.ts';

/** Flags that choose the form: `--json`, or `-o json`. */
export const outputFlags = { json: 'flag', output: 'text' } as const;

/** Whether the arguments ask for JSON, however wrong they are otherwise. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (argument, at) =>
      ['--json', '-ojson', '-o=json', '--output=json'].includes(argument) ||
      (argument === 'json' && ['-o', '--output'].includes(argv[at - 1] ?? '')),
  );
}

/** Whether JSON is wanted. Throws InputError for a form that there is not. */
export function wantsJson(flags: Flags): boolean {
  const output = flags.text('output');
  if (output !== undefined && output !== 'json') {
    throw new InputError({
      error: `${output} is no output form`,
      field: '--output',
      remedy: 'give -o json, or leave it out',
    });
  }
  return output === 'json' || flags.flag('json');
}
