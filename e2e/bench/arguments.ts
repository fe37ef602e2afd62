// The command line of `npm run bench`: which bench, of what size, in which form.
import { parseArgs } from 'node:util';

export type RolloutBenchArguments = {
  readonly bench: 'rollout';
  /** Simulated machines. */
  readonly machines: number;
  /** The last line is one JSON object; everything else goes to standard error. */
  readonly json: boolean;
  /** Folder for the operator's CPU profile. */
  readonly cpuProfile: string | undefined;
};

export type AgentBenchArguments = {
  readonly bench: 'agent';
  readonly json: boolean;
  /** Seconds in which nothing happens and everything is counted. */
  readonly idleSeconds: number;
};

export type BenchArguments = RolloutBenchArguments | AgentBenchArguments;

export type ParsedArguments =
  | { readonly kind: 'run'; readonly value: BenchArguments }
  | { readonly kind: 'help' }
  /** What is wrong, and what to do. */
  | { readonly kind: 'wrong'; readonly message: string };

const BENCHES: readonly string[] = ['rollout', 'agent'];
const DEFAULT_MACHINES = 1000;
const DEFAULT_IDLE_SECONDS = 180;
const MOST_IDLE_SECONDS = 3600;
/** The hub of one replica takes 20,000 connections, and each machine needs two for a moment. */
const MOST_MACHINES = 10_000;

export const USAGE = `npm run bench -- rollout [--machines N] [--json] [--cpu-profile DIR]
npm run bench -- agent [--idle-seconds N] [--json]

  rollout            one revision to N simulated machines, over a real API server
  agent              one real machine: an order against a switch by hand, memory, an idle hour
  --machines N       1 to ${MOST_MACHINES}, default ${DEFAULT_MACHINES}
  --json             the last line is one JSON object
  --cpu-profile DIR  where the operator leaves its CPU profile
  --idle-seconds N   30 to ${MOST_IDLE_SECONDS}, default ${DEFAULT_IDLE_SECONDS}`;

/** Reads the arguments after the script's name. */
export function parseBenchArguments(argv: readonly string[]): ParsedArguments {
  let parsed: ReturnType<typeof read>;
  try {
    parsed = read(argv);
  } catch (error) {
    return { kind: 'wrong', message: `${error instanceof Error ? error.message : String(error)}\n${USAGE}` };
  }
  const { values, positionals } = parsed;
  if (values.help) return { kind: 'help' };
  const [bench, ...more] = positionals;
  if (bench === undefined) return { kind: 'wrong', message: `which bench? Give ${BENCHES.join(' or ')}` };
  if (!BENCHES.includes(bench) || more.length > 0) {
    const unknown = BENCHES.includes(bench) ? more.join(' ') : bench;
    return { kind: 'wrong', message: `${JSON.stringify(unknown)} is no bench; use ${BENCHES.join(' or ')}` };
  }
  if (bench === 'agent') return agentArguments(values);
  const machines = values.machines === undefined ? DEFAULT_MACHINES : wholeNumber(values.machines);
  if (machines === undefined || machines < 1 || machines > MOST_MACHINES) {
    return {
      kind: 'wrong',
      message: `--machines: ${JSON.stringify(values.machines)} will not do; give a number from 1 to ${MOST_MACHINES}`,
    };
  }
  return {
    kind: 'run',
    value: { bench: 'rollout', machines, json: values.json, cpuProfile: values['cpu-profile'] },
  };
}

function agentArguments(values: ReturnType<typeof read>['values']): ParsedArguments {
  const other = values.machines !== undefined ? '--machines' : values['cpu-profile'] && '--cpu-profile';
  if (other) return { kind: 'wrong', message: `${other} is not for the bench agent` };
  const given = values['idle-seconds'];
  const idleSeconds = given === undefined ? DEFAULT_IDLE_SECONDS : wholeNumber(given);
  if (idleSeconds === undefined || idleSeconds < 30 || idleSeconds > MOST_IDLE_SECONDS) {
    const message = `--idle-seconds: ${JSON.stringify(given)} will not do; give a number from 30 to ${MOST_IDLE_SECONDS}`;
    return { kind: 'wrong', message };
  }
  return { kind: 'run', value: { bench: 'agent', json: values.json, idleSeconds } };
}

function read(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      machines: { type: 'string' },
      json: { type: 'boolean', default: false },
      'cpu-profile': { type: 'string' },
      'idle-seconds': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
}

function wholeNumber(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
