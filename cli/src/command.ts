// The command line of `floe`, also as the kubectl plug-in `kubectl-floe`: finds the sub-command and runs it.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { InputError } from './input-error.ts';
import { PLAN_HELP, planCommand } from './plan-command.ts';

const HELP = `floe: NixOS machines run by Kubernetes

  floe plan -f FILE|-           what a Rollout would do now, from manifests; touches nothing
  floe approve ROLLOUT          answer the pause that it waits in
  floe retry ROLLOUT            tell the machines that failed again
  floe continue ROLLOUT         accept the failures of the step and go on
  floe abort ROLLOUT            tell nobody else
  floe rollback ROLLOUT         take the machines back to the stable revision
  floe reconcile ROLLOUT        look again now
  floe operator | cache | builder   the processes of Floe; each has --help

floe COMMAND --help says more.  floe --version says which version this is.`;

async function readInput(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const error = `${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new InputError(
      { error, field: '--file', remedy: 'name a file that is there, or - for the standard input' },
      { cause },
    );
  }
}

/** JSON for people on a terminal, on one line for programs. */
function print(value: unknown, stream: NodeJS.WriteStream): void {
  stream.write(`${JSON.stringify(value, undefined, stream.isTTY ? 2 : undefined)}\n`);
}

/** Runs the command line and returns its exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  const wantsHelp = rest.some((arg) => arg === '--help' || arg === '-h');
  try {
    if (command === 'plan') {
      if (wantsHelp) process.stdout.write(`${PLAN_HELP}\n`);
      else print(await planCommand(rest, { read: readInput, now: new Date() }), process.stdout);
      return 0;
    }
    if (command === undefined || command === '--help' || command === '-h' || command === 'help') {
      process.stdout.write(`${HELP}\n`);
      return command === undefined ? 2 : 0;
    }
    throw new InputError({ error: `${command} is not known`, field: 'COMMAND', remedy: 'see floe --help' });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    // Programs find it where the plan would be; a person sees it once.
    if (!process.stdout.isTTY) print(error, process.stdout);
    print(error, process.stderr);
    return 2;
  }
}
