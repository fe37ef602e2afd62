// The command line of `floe`, also as the kubectl plug-in `kubectl-floe`: finds the sub-command and runs it.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { VERBS, type Verb } from '@floe/crds/constants';
import { plainText } from '@floe/crds/plain-text';
import { commandFirst } from './command-first.ts';
import { courseCommand } from './course-command.ts';
import { failureOutput } from './failure-output.ts';
import { HELP } from './help.ts';
import { InputError } from './input-error.ts';
import { HOLD_HELP, holdCommand } from './machine-verbs.ts';
import { PLAN_HELP, planCommand } from './plan-command.ts';
import { TOKEN_HELP, tokenCommand } from './token-command.ts';
import { verbCommand, verbHelp } from './verb-command.ts';

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
  stream.write(`${plainText(JSON.stringify(value, undefined, stream.isTTY ? 2 : undefined))}\n`);
}

/** The processes of Floe, which have an entry of their own. */
const PROGRAMS: readonly string[] = ['operator', 'cache', 'builder'];
/** Time limit of a verb, in ms. */
const VERB_MS = 30_000;
/** Time limit of a comparison, in ms: it asks a cache some thousand times. */
const DIFF_MS = 600_000;
/** How often a rollout that is watched is looked at, in ms. */
const WATCH_MS = 2000;
/** How long it is watched, in ms: a week. */
const WATCH_LIMIT_MS = 604_800_000;
const USAGE = 2;

/** Runs the command line and returns its exit code: 0 well, 1 failed, 2 wrong input. */
export async function main(given: readonly string[]): Promise<number> {
  const argv = commandFirst(given);
  const [command = '', ...rest] = argv;
  if (PROGRAMS.includes(command)) {
    // Loaded only when asked for: a plan needs no cluster.
    const programs = await import('@floe/operator/main');
    return programs.main([command, ...rest]);
  }
  try {
    return await commandOf(command)(rest);
  } catch (error) {
    return failed(error, argv);
  }
}

type Command = (argv: readonly string[]) => Promise<number>;

function commandOf(command: string): Command {
  if (command === 'plan') return planned;
  if (command === 'diff') return diff;
  if (command === 'get') return get;
  if (command === 'machine') return machine;
  if (command === 'hold' || command === 'unhold') return (argv) => hold(command === 'hold', argv);
  if (command === 'token') return token;
  if ((VERBS as readonly string[]).includes(command)) return (argv) => verb(command as Verb, argv);
  if (command === '--version' || command === 'version')
    return async () => say(process.env['FLOE_VERSION'] ?? 'from source');
  if (['', '--help', '-h', 'help'].includes(command)) return async () => say(HELP, command === '' ? USAGE : 0);
  throw new InputError({ error: `${command} is not known`, field: 'COMMAND', remedy: 'see kubectl floe --help' });
}

function say(text: string, code = 0): number {
  // What machines and builds say stands in it: no terminal obeys that.
  process.stdout.write(`${plainText(text)}\n`);
  return code;
}

const wantsHelp = (argv: readonly string[]): boolean => argv.includes('--help') || argv.includes('-h');

async function planned(argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) return say(PLAN_HELP);
  const ports = { read: readInput, now: new Date() };
  if (argv.includes('--course')) return say(await courseCommand(argv, ports));
  print(await planCommand(argv, ports), process.stdout);
  return 0;
}

async function diff(argv: readonly string[]): Promise<number> {
  const { DIFF_HELP, diffCommand } = await import('./diff/diff-command.ts');
  if (wantsHelp(argv)) return say(DIFF_HELP);
  const signal = AbortSignal.timeout(DIFF_MS);
  return say(await diffCommand(argv, { connect: await connector(), now: () => new Date(), signal }));
}

async function get(argv: readonly string[]): Promise<number> {
  const { GET_HELP, getCommand } = await import('./show/get-command.ts');
  if (wantsHelp(argv)) return say(GET_HELP);
  const watches = argv.includes('--watch') || argv.includes('-w');
  return getCommand(argv, {
    connect: await connector(),
    now: () => new Date(),
    signal: AbortSignal.timeout(watches ? WATCH_LIMIT_MS : VERB_MS),
    write: (text) => process.stdout.write(text),
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    everyMs: WATCH_MS,
  });
}

async function machine(argv: readonly string[]): Promise<number> {
  const { MACHINE_HELP, machineCommand } = await import('./show/machine-command.ts');
  if (wantsHelp(argv)) return say(MACHINE_HELP);
  const signal = AbortSignal.timeout(VERB_MS);
  return say(await machineCommand(argv, { connect: await connector(), now: () => new Date(), signal }));
}

async function hold(on: boolean, argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) return say(HOLD_HELP);
  const signal = AbortSignal.timeout(VERB_MS);
  return say(await holdCommand(on, argv, { connect: await connector(), now: () => new Date(), signal }));
}

async function token(argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) return say(TOKEN_HELP);
  const signal = AbortSignal.timeout(VERB_MS);
  return say(await tokenCommand(argv, { connect: await connector(), now: () => new Date(), signal }));
}

/** Connects to a cluster; its code is loaded only when it is needed. */
async function connector() {
  const { KubeClient } = await import('@floe/operator/kube/client');
  return ({ file, context }: { file: string | undefined; context: string | undefined }) =>
    KubeClient.fromKubeConfig({ file, ...(context === undefined ? {} : { context }) });
}

async function verb(name: Verb, argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) return say(verbHelp(name));
  const connect = await connector();
  const signal = AbortSignal.timeout(VERB_MS);
  const { kubeconfigUser } = await import('./who.ts');
  return say(await verbCommand(name, argv, { connect, now: () => new Date(), signal, userOf: kubeconfigUser }));
}

function failed(error: unknown, argv: readonly string[]): number {
  const { stdout, stderr } = process;
  const output = failureOutput(error, argv, { stdout: stdout.isTTY, stderr: stderr.isTTY });
  stdout.write(plainText(output.stdout));
  stderr.write(plainText(output.stderr));
  return output.code;
}
