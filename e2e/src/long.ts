// `npm run test:long`: what is exhaustive, for a nightly run: the same properties as in `npm test`, over many more random cases.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';
import { bold, duration } from './terminal.ts';

interface Search {
  /** The word that asks for it alone. */
  readonly name: string;
  /** What is looked at, in the plural. */
  readonly cases: string;
  /** The config of vitest that knows the files; by default that of the unit tests. */
  readonly config?: string;
  /** How many in each of the files. */
  readonly count: number;
  /** The environment variable through which the files learn the count. */
  readonly variable: string;
  readonly files: readonly string[];
}

const SEARCHES: readonly Search[] = [
  {
    name: 'states',
    cases: 'states of the rollout planner',
    count: 500_000,
    variable: 'FLOE_STATES',
    files: ['operator/src/rollout/plan.property.test.ts', 'operator/src/rollout/plan-budgets.property.test.ts'],
  },
  {
    name: 'attempts',
    cases: 'attempts, each with power cuts, kills and failures at random phases',
    count: 100_000,
    variable: 'FLOE_ATTEMPTS',
    files: ['agent/src/attempt/crash.test.ts', 'agent/src/attempt/course.test.ts'],
  },
  {
    name: 'operations',
    cases: 'sequences of operations against a model: work queue, journal',
    count: 10_000,
    variable: 'FLOE_SEQUENCES',
    files: ['operator/src/kube/queue.test.ts', 'agent/src/journal/journal.test.ts'],
  },
  {
    name: 'kills',
    cases: 'random moments at which the leader is killed in a run of 200 machines',
    config: 'e2e/vitest.config.ts',
    count: 100,
    variable: 'FLOE_KILLS',
    files: ['e2e/scenarios/95-leader-killed.e2e.test.ts'],
  },
  {
    name: 'cuts',
    cases: 'random moments of an attempt at which the power is cut, on each of five machines',
    config: 'e2e/vitest.config.ts',
    count: 6,
    variable: 'FLOE_CUTS',
    files: ['e2e/scenarios/56-power-cuts.e2e.test.ts'],
  },
];

const USAGE = `npm run test:long -- [NAME …]: ${SEARCHES.map(({ name }) => name).join(', ')}; all by default, in about an hour and a half on two cores`;

/** Whether all of its tests passed. A failure prints the seed and the smallest case that fast-check found. */
function run({ cases, config = 'vitest.config.ts', count, variable, files }: Search): Promise<boolean> {
  console.log(`\n${bold(`${count} ${cases}`)} (in each of ${files.length} files)`);
  const vitest = join(projectDir, 'node_modules/vitest/vitest.mjs');
  const env = { ...process.env, [variable]: String(count) };
  const args = [vitest, 'run', '--config', config, '--testTimeout=7200000', ...files];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: projectDir, stdio: 'inherit', env });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(false);
    });
    child.on('close', (code) => resolve(code === 0));
  });
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !SEARCHES.some((search) => search.name === name));
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')} is not known.\n${USAGE}`);
  process.exitCode = 2;
} else {
  const began = performance.now();
  const wanted = SEARCHES.filter(({ name }) => asked.length === 0 || asked.includes(name));
  for (const search of wanted) if (!(await run(search))) process.exitCode = 1;
  console.log(`\n${duration((performance.now() - began) / 1000)}`);
}
