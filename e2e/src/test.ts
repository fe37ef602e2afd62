// `npm test`: checks, unit and property tests, then scenarios on a real cluster. Ends with the line "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingOnHost } from '../bed/ensure-host.ts';
import { projectDir } from '../bed/paths.ts';
import { bold, duration } from './terminal.ts';
import { type Failure, VERDICT_FILE, type Verdict } from './verdict.ts';

const MOST_PRINTED = 20;
const MOST_LINES = 12;
const node = process.execPath;
const vitest = join(projectDir, 'node_modules/vitest/vitest.mjs');

/** `how`: the exit code or the signal that ended it. */
type Ended = { readonly code: number; readonly how: string; readonly output: string };

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(node, [...args], {
      cwd: projectDir,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      process.stdout.write(data);
    });
    child.on('error', (error) => resolve({ code: 1, how: error.message, output }));
    child.on('close', (code, signal) => resolve({ code: code ?? 1, how: signal ?? `exit code ${code}`, output }));
  });
}

/** The checks of `npm run check`, each a test. */
async function checks(): Promise<Verdict> {
  const { code, how, output } = await run(['scripts/check.ts']);
  const passed = output.match(/^✔ /gm)?.length ?? 0;
  const failed = [...output.matchAll(/^✘ (.*) \(/gm)].map(([, name]) => ({ where: name ?? '', what: 'npm run check' }));
  if (code === 0 || failed.length > 0) return { passed, failures: failed, secondTry: [] };
  return { passed, failures: [{ where: 'npm run check', what: `ended with ${how}` }], secondTry: [] };
}

/** The tests of a vitest configuration. */
async function tests(config: string, filter: readonly string[]): Promise<Verdict> {
  const dir = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const file = join(dir, 'verdict.json');
  try {
    const { code, how } = await run([vitest, 'run', '--config', config, ...filter], { [VERDICT_FILE]: file });
    const text = await readFile(file, 'utf8').catch(() => undefined);
    // A run that ends without a verdict has crashed: that is a failure, not "no tests".
    const verdict: Verdict =
      text === undefined ? { passed: 0, failures: [], secondTry: [] } : (JSON.parse(text) as Verdict);
    if (code === 0 || verdict.failures.length > 0) return verdict;
    const what = `vitest ended with ${how} and no word about it: see its last lines above`;
    return { ...verdict, failures: [{ where: config, what, stray: true }] };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** vitest tries no test again for an error that belongs to none: then all run once more, and the report says so. */
async function unitTests(): Promise<Verdict> {
  const first = await tests('vitest.config.ts', []);
  if (first.failures.length === 0 || first.failures.some(({ stray }) => stray !== true)) return first;
  console.log('An error that belongs to no test: the unit tests run once more.');
  const again = await tests('vitest.config.ts', []);
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

const filter = process.argv.slice(2);
const missing = await missingOnHost(['run', 'metrics', 'ssh', 'proxies']);
console.log(
  `Floe's tests: checks, unit tests, scenarios on a real cluster. About ${missing.length === 0 ? 60 : 75} minutes; everything is kept in ~/.cache/floe (3 GB).`,
);
for (const item of missing) console.log(`  installs ${item}`);

const verdicts = [
  ...(filter.length > 0 ? [] : [await stage('Checks', checks), await stage('Unit and property tests', unitTests)]),
  await stage('Scenarios', () => tests('e2e/vitest.config.ts', filter)),
];
const passed = verdicts.reduce((sum, verdict) => sum + verdict.passed, 0);
const failed = verdicts.reduce((sum, verdict) => sum + verdict.failures.length, 0);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
// The last lines name each, with the beginning of its error: nobody has to look for it above.
print(
  'Passed at the second try',
  verdicts.flatMap(({ secondTry }) => secondTry),
);
print(
  'Failed',
  verdicts.flatMap(({ failures }) => failures),
);
console.log(`\n${passed} passed, ${failed} failed`);
