// Runs vitest with one of the project's configurations, as a process of its own, to its verdict.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectDir } from '../bed/paths.ts';
import { VERDICT_FILE } from './reporters.ts';
import type { Verdict } from './verdict.ts';

/** `how`: the exit code or the signal that ended it. */
type Ended = { readonly code: number; readonly how: string; readonly output: string };

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs a script of the project with this Node; its output is printed, and returned. */
export function runNode(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...args], {
      cwd: projectDir,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      process.stdout.write(data);
    });
    // npm passes a signal on to this process alone.
    const end = (signal: NodeJS.Signals): boolean => child.kill(signal);
    for (const signal of SIGNALS) process.on(signal, end);
    child.on('exit', () => {
      for (const signal of SIGNALS) process.off(signal, end);
    });
    child.on('error', (error) => resolve({ code: 1, how: error.message, output }));
    child.on('close', (code, signal) => resolve({ code: code ?? 1, how: signal ?? `exit code ${code}`, output }));
  });
}

export const NOTHING: Verdict = { passed: 0, failures: [], secondTry: [], costs: [] };

/** The tests of a vitest configuration whose file's path has one of the filters in it; all where there is none. */
export async function runVitest(
  config: string,
  filter: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Verdict> {
  const dir = await mkdtemp(join(tmpdir(), 'floe-test-'));
  const file = join(dir, 'verdict.json');
  const vitest = join(projectDir, 'node_modules/vitest/vitest.mjs');
  try {
    const { code, how } = await runNode([vitest, 'run', '--config', config, ...filter], {
      ...env,
      [VERDICT_FILE]: file,
    });
    const text = await readFile(file, 'utf8').catch(() => undefined);
    // A run that ends without a verdict has crashed: that is a failure, not "no tests".
    const verdict = text === undefined ? NOTHING : (JSON.parse(text) as Verdict);
    if (code === 0 || verdict.failures.length > 0) return verdict;
    const what = `vitest ended with ${how} and no word about it: see its last lines above`;
    return { ...verdict, failures: [{ where: config, what, stray: true }] };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
