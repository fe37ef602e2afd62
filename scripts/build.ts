// Bundles the programs: dist/floe.mjs (CLI, operator, cache, builder) and dist/floe-agent.mjs, which the Nix package carries too.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const root = join(import.meta.dirname, '..');

async function write(path: string, text: string): Promise<boolean> {
  const file = join(root, path);
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === text) return false;
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, text);
  await chmod(file, 0o755);
  return true;
}

const agent = await bundle('agent');
if (process.argv.includes('--check')) {
  const committed = await readFile(join(root, 'nix/agent/floe-agent.mjs'), 'utf8').catch(() => undefined);
  if (committed !== agent) {
    console.error('nix/agent/floe-agent.mjs is out of date, run `npm run build` and commit it');
    process.exitCode = 1;
  }
} else {
  await write('dist/floe.mjs', await bundle('cli'));
  await write('dist/floe-agent.mjs', agent);
  await write('nix/agent/floe-agent.mjs', agent);
  console.log('Built dist/floe.mjs and dist/floe-agent.mjs.');
}
