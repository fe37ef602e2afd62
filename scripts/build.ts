// Bundles the programs: dist/floe.mjs (CLI, operator, cache, builder) and dist/floe-agent.mjs, which the Nix package carries too.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** CommonJS packages inside an ES module bundle ask for `require` and the names of their file. */
const REQUIRE =
  "import { createRequire as floeRequire } from 'node:module'; const require = floeRequire(import.meta.url); const __filename = import.meta.filename; const __dirname = import.meta.dirname;";

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
  // Compiled parts of ssh2, which does without them.
  external: ['*.node', 'cpu-features'],
  banner: { js: `#!/usr/bin/env node\n${REQUIRE}` },
};

/** The text of a bundle, the same for the same sources. */
async function bundle(entry: string): Promise<string> {
  const version = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version as string;
  const result = await build({
    ...common,
    entryPoints: [entry],
    write: false,
    metafile: true,
    define: { 'process.env.FLOE_VERSION': JSON.stringify(version) },
  });
  const schemas = Object.keys(result.metafile?.inputs ?? {}).filter((input) => input.includes('node_modules/typebox/'));
  if (schemas.length > 0) {
    throw new Error(`${entry} loads TypeBox at run time; import types of crds, never schema values`);
  }
  const [file] = result.outputFiles ?? [];
  if (file === undefined) throw new Error(`esbuild wrote nothing for ${entry}`);
  return file.text;
}

async function write(path: string, text: string): Promise<boolean> {
  const file = join(root, path);
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === text) return false;
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(file, text);
  await chmod(file, 0o755);
  return true;
}

const agent = await bundle('agent/src/main.ts');
if (process.argv.includes('--check')) {
  const committed = await readFile(join(root, 'nix/agent/floe-agent.mjs'), 'utf8').catch(() => undefined);
  if (committed !== agent) {
    console.error('nix/agent/floe-agent.mjs is out of date, run `npm run build` and commit it');
    process.exitCode = 1;
  }
} else {
  await write('dist/floe.mjs', await bundle('cli/src/main.ts'));
  await write('dist/floe-agent.mjs', agent);
  await write('nix/agent/floe-agent.mjs', agent);
  console.log('Built dist/floe.mjs and dist/floe-agent.mjs.');
}
