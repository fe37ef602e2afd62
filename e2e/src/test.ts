// `npm test`: checks, then unit and property tests beside scenarios on real clusters. Ends with the line "N passed, N failed".
import { availableParallelism } from 'node:os';
import { missingOnHost } from '../bed/ensure-host.ts';
import { parseTestArguments, USAGE } from '../runner/arguments.ts';
import { LOG_DIR, makeLogDir } from '../runner/evidence.ts';
import { laneCount } from '../runner/lane-count.ts';
import { longest } from '../runner/longest.ts';
import { matchingScenarios } from '../runner/scenario-files.ts';
import type { Failure, Verdict } from '../runner/verdict.ts';
import { NOTHING, runNode, runVitest } from '../runner/vitest-run.ts';
import { bold, duration } from './terminal.ts';

const MOST_PRINTED = 20;
const MOST_LINES = 12;
const WRONG_USE = 2;

/** The checks of `npm run check`, each a test. */
async function checks(): Promise<Verdict> {
  const { code, how, output } = await runNode(['scripts/check.ts']);
  const passed = output.match(/^✔ /gm)?.length ?? 0;
  const failed = [...output.matchAll(/^✘ (.*) \(/gm)].map(([, name]) => ({ where: name ?? '', what: 'npm run check' }));
  if (code === 0 || failed.length > 0) return { ...NOTHING, passed, failures: failed };
  return { ...NOTHING, passed, failures: [{ where: 'npm run check', what: `ended with ${how}` }] };
}

/** vitest tries no test again for an error that belongs to none: then all run once more, and the report says so. */
async function unitTests(): Promise<Verdict> {
  const first = await runVitest('vitest.config.ts', []);
  if (first.failures.length === 0 || first.failures.some(({ stray }) => stray !== true)) return first;
  console.log('An error that belongs to no test: the unit tests run once more.');
  const again = await runVitest('vitest.config.ts', []);
  return { ...again, secondTry: [...again.secondTry, ...first.failures] };
}

async function stage(title: string, work: () => Promise<Verdict>): Promise<Verdict> {
  const began = performance.now();
  console.log(`\n${bold(title)}`);
  const verdict = await work();
  const seconds = (performance.now() - began) / 1000;
  console.log(`${title}: ${verdict.passed} passed, ${verdict.failures.length} failed, ${duration(seconds)}`);
  return verdict;
}

function print(title: string, failures: readonly Failure[]): void {
  for (const { where, what } of failures.slice(0, MOST_PRINTED)) {
    console.log(`\n${title}: ${where}\n${what.split('\n', MOST_LINES).join('\n').replaceAll(/^/gm, '    ')}`);
  }
  if (failures.length > MOST_PRINTED) console.log(`\nand ${failures.length - MOST_PRINTED} more, see above`);
}

/** The last lines name each failure, with the beginning of its error: no one has to look for it above. */
function report(verdicts: readonly Verdict[], logs: string): void {
  const passed = verdicts.reduce((sum, verdict) => sum + verdict.passed, 0);
  const failed = verdicts.reduce((sum, verdict) => sum + verdict.failures.length, 0);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
  console.log(`\n${bold('What took longest')}`);
  for (const { costs } of verdicts) for (const row of longest(costs)) console.log(row);
  print(
    'Passed at the second try',
    verdicts.flatMap(({ secondTry }) => secondTry),
  );
  print(
    'Failed',
    verdicts.flatMap(({ failures }) => failures),
  );
  console.log(`\nLogs of clusters, pods and machines: ${logs}`);
  console.log(`\n${passed} passed, ${failed} failed`);
}

async function test(filter: readonly string[], asked: number | undefined): Promise<void> {
  const missing = await missingOnHost(['run', 'metrics', 'ssh', 'proxies', 'gitops']);
  const scenarios = matchingScenarios(filter);
  const host = { cores: availableParallelism(), freeBytes: process.availableMemory() };
  const lanes = Math.min(asked ?? laneCount(host), Math.max(1, scenarios.length));
  const what =
    filter.length > 0
      ? `${scenarios.length} of the scenarios on real clusters`
      : `checks, unit tests, ${scenarios.length} scenarios on real clusters. About ${missing.length === 0 ? 75 : 85} minutes on two cores`;
  console.log(`Floe's tests: ${what}; ${lanes} side by side. Everything is kept in ~/.cache/floe (3 GB).`);
  for (const item of missing) console.log(`  installs ${item}`);
  const logs = await makeLogDir();
  const inLanes = (): Promise<Verdict> =>
    stage('Scenarios', () =>
      runVitest('e2e/vitest.config.ts', filter, { FLOE_TEST_LANES: String(lanes), [LOG_DIR]: logs }),
    );
  if (filter.length > 0) return report([await inLanes()], logs);
  const checked = await stage('Checks', checks);
  const units = await stage('Unit and property tests', unitTests);
  return report([checked, units, await inLanes()], logs);
}

const given = parseTestArguments(process.argv.slice(2));
if (given.kind === 'help') {
  console.log(USAGE);
} else if (given.kind === 'wrong') {
  console.error(`npm test: ${given.message}\n${USAGE}`);
  process.exitCode = WRONG_USE;
} else {
  await test(given.filter, given.lanes);
}
