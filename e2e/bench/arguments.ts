// The command line of `npm run bench`: which bench, how many machines, in which form.
import { parseArgs } from 'node:util';

export type BenchArguments = {
  readonly bench: 'rollout';
  /** Simulated machines. */
  readonly machines: number;
  /** The last line is one JSON object; everything else goes to standard error. */
  readonly json: boolean;
  /** Folder for the operator's CPU profile. */
  readonly cpuProfile: string | undefined;
};

export type ParsedArguments =
  | { readonly kind: 'run'; readonly value: BenchArguments }
  | { readonly kind: 'help' }
  /** What is wrong, and what to do. */
  | { readonly kind: 'wrong'; readonly message: string };

const BENCHES: readonly string[] = ['rollout'];
const DEFAULT_MACHINES = 1000;
/** The hub of one replica takes 20,000 connections, and each machine needs two for a moment. */
const MOST_MACHINES = 10_000;

export const USAGE = `npm run bench -- rollout [--machines N] [--json] [--cpu-profile DIR]

  rollout            one revision to N simulated machines, over a real API server
  --machines N       1 to ${MOST_MACHINES}, default ${DEFAULT_MACHINES}
  --json             the last line is one JSON object
  --cpu-profile DIR  where the operator leaves its CPU profile`;

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

function read(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      machines: { type: 'string' },
      json: { type: 'boolean', default: false },
      'cpu-profile': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
}

function wholeNumber(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}
