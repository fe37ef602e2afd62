// Checks the whole project: types, lint, import direction, dead code, generated files. Prints what is wrong and ends with 1.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const node = process.execPath;

const checks: readonly { name: string; command: readonly string[] }[] = [
  { name: 'types', command: ['node_modules/.bin/tsc', '-p', 'tsconfig.json'] },
  { name: 'lint and format', command: ['node_modules/.bin/biome', 'check', '--error-on-warnings', '.'] },
  {
    name: 'import direction',
    command: [
      'node_modules/.bin/depcruise',
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'err',
      'crds',
      'operator',
      'agent',
      'cli',
      'e2e',
    ],
  },
  { name: 'dead code', command: ['node_modules/.bin/knip', '--no-progress'] },
  { name: 'generated files', command: [node, 'crds/generate/main.ts', '--check'] },
  { name: 'agent bundle of the Nix package', command: [node, 'scripts/build.ts', '--check'] },
];

function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env: { ...process.env, NO_COLOR: '1' } });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      output += data;
    });
    child.on('error', (error) => resolve({ code: 1, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

const results = await Promise.all(
  checks.map(async ({ name, command }) => {
    const started = performance.now();
    const { code, output } = await run(command);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${code === 0 ? '✔' : '✘'} ${name} (${seconds} s)`);
    if (code !== 0) console.log(output);
    return code === 0;
  }),
);
process.exitCode = results.every(Boolean) ? 0 : 1;
