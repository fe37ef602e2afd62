// `npm test`: checks, unit and property tests, then scenarios on a real cluster. Ends with the line "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingOnHost } from '../bed/ensure-host.ts';
import { projectDir } from '../bed/paths.ts';
import { bold, duration } from './terminal.ts';

type Tally = { readonly passed: number; readonly failed: number };

const node = process.execPath;
const vitest = join(projectDir, 'node_modules/vitest/vitest.mjs');

function run(args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(node, [...args], { cwd: projectDir, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      process.stdout.write(data);
    });
    child.on('error', () => resolve({ code: 1, output }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** The checks of `npm run check`, each a test. */
async function checks(): Promise<Tally> {
  const { code, output } = await run(['scripts/check.ts']);
  const passed = output.match(/^✔ /gm)?.length ?? 0;
  const failed = output.match(/^✘ /gm)?.length ?? 0;
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

/** The tests of a vitest configuration, counted from its own report. */
async function tests(config: string, filter: readonly string[]): Promise<Tally> {
  const dir = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const report = join(dir, 'report.json');
  try {
    const { code } = await run([
      vitest,
      'run',
      '--config',
      config,
      '--reporter=default',
      '--reporter=json',
      `--outputFile=${report}`,
      ...filter,
    ]);
    const text = await readFile(report, 'utf8').catch(() => undefined);
    // A run that ends without a report has crashed: that is a failure, not "no tests".
    if (text === undefined) return { passed: 0, failed: 1 };
    const counted = JSON.parse(text) as { numPassedTests: number; numFailedTests: number };
    const failed = counted.numFailedTests;
    return { passed: counted.numPassedTests, failed: code !== 0 && failed === 0 ? 1 : failed };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function stage(title: string, work: () => Promise<Tally>): Promise<Tally> {
  const began = performance.now();
  console.log(`\n${bold(title)}`);
  const tally = await work();
  console.log(
    `${title}: ${tally.passed} passed, ${tally.failed} failed, ${duration((performance.now() - began) / 1000)}`,
  );
  return tally;
}

const filter = process.argv.slice(2);
const missing = await missingOnHost(['run', 'metrics', 'ssh', 'proxies']);
console.log(
  `Floe's tests: checks, unit tests, scenarios on a real cluster. About ${missing.length === 0 ? 60 : 75} minutes; everything is kept in ~/.cache/floe (3 GB).`,
);
for (const item of missing) console.log(`  installs ${item}`);

const tallies = [
  ...(filter.length > 0
    ? []
    : [await stage('Checks', checks), await stage('Unit and property tests', () => tests('vitest.config.ts', []))]),
  await stage('Scenarios', () => tests('e2e/vitest.config.ts', filter)),
];
const passed = tallies.reduce((sum, tally) => sum + tally.passed, 0);
const failed = tallies.reduce((sum, tally) => sum + tally.failed, 0);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
console.log(`\n${passed} passed, ${failed} failed`);
