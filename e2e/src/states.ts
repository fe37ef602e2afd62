// `npm run test:states`: the planner over a million random states, for a nightly run; about 20 minutes on two cores.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';

/** States of each property, default a million in all. */
const EACH = Math.ceil(Number(process.argv[2] ?? 1_000_000) / 2);

const tests = ['plan.property.test.ts', 'plan-budgets.property.test.ts'].map((file) =>
  join('operator/src/rollout', file),
);

if (!Number.isFinite(EACH) || EACH < 1) {
  console.error('npm run test:states -- [STATES]: how many states to look at, default 1000000');
  process.exitCode = 2;
} else {
  console.log(`Looks at ${EACH * 2} states of the rollout planner; a failure prints the seed and the history to it.`);
  const vitest = join(projectDir, 'node_modules/vitest/vitest.mjs');
  const env = { ...process.env, FLOE_STATES: String(EACH) };
  const child = spawn(process.execPath, [vitest, 'run', ...tests], { cwd: projectDir, stdio: 'inherit', env });
  child.on('error', (error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  child.on('close', (code) => {
    process.exitCode = code ?? 1;
  });
}
