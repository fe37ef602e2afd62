// `npm run bench -- NAME [--json]`: sets up its own cluster, measures, prints figures, and leaves nothing up.

import { missingOnHost } from '../bed/ensure-host.ts';
import type { OnProgress } from '../bed/progress.ts';
import { agentBench } from '../bench/agent-bench.ts';
import { describeAgentFigures } from '../bench/agent-figures.ts';
import { type BenchArguments, parseBenchArguments, USAGE } from '../bench/arguments.ts';
import { describeFigures } from '../bench/figures.ts';
import { rolloutBench } from '../bench/rollout-bench.ts';
import { duration, stepPrinter } from './terminal.ts';

const WRONG_USE = 2;

/** With `--json` standard output holds the result and nothing else. */
function printers(json: boolean): { say: (line: string) => void; onProgress: OnProgress } {
  if (!json) return { say: (line) => console.log(`  · ${line}`), onProgress: stepPrinter() };
  const say = (line: string): void => console.error(`  · ${line}`);
  return {
    say,
    onProgress: ({ detail, seconds, state }) =>
      say(`${detail.split('\n')[0]}${state === 'done' ? `: ${duration(seconds)}` : ' …'}`),
  };
}

async function run(
  given: BenchArguments,
  ports: Parameters<typeof rolloutBench>[1],
): Promise<readonly [figures: object, text: string]> {
  if (given.bench === 'agent') {
    const figures = await agentBench(given, ports);
    return [figures, describeAgentFigures(figures)];
  }
  const figures = await rolloutBench(given, ports);
  return [figures, describeFigures(figures)];
}

async function bench(given: BenchArguments): Promise<void> {
  const { say, onProgress } = printers(given.json);
  const announce = given.json ? console.error : console.log;
  const missing = await missingOnHost();
  const time =
    missing.length === 0
      ? `About ${duration(given.bench === 'agent' ? 300 + given.idleSeconds : 60 + given.machines / 20)}`
      : 'First run: about 10 minutes, 3 GB in ~/.cache/floe';
  const what =
    given.bench === 'agent'
      ? 'what the agent of one real machine costs'
      : `one revision to ${given.machines} simulated machines over a real API server`;
  announce(`Floe bench: ${what}. ${time}.`);
  for (const item of missing) announce(`  installs ${item}`);
  const end = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => end.abort(new Error(`${name} came`)));
  const ports = { say, onProgress, signal: end.signal };
  const [figures, text] = await run(given, ports);
  console.log(given.json ? JSON.stringify(figures) : `\n${text}`);
}

const parsed = parseBenchArguments(process.argv.slice(2));
if (parsed.kind === 'help') {
  console.log(USAGE);
} else if (parsed.kind === 'wrong') {
  console.error(`bench: ${parsed.message}`);
  process.exitCode = WRONG_USE;
} else {
  try {
    await bench(parsed.value);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
