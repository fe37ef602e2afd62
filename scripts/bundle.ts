// The programs as one file each, by esbuild: the command line (with operator, cache and builder) and the agent.
import { readFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');

/** CommonJS packages inside an ES module bundle ask for `require` and the names of their file. */
const REQUIRE =
  "import { createRequire as floeRequire } from 'node:module'; const require = floeRequire(import.meta.url); const __filename = import.meta.filename; const __dirname = import.meta.dirname;";

/** What the command line says where an older Node runs it, before that Node misses anything. */
const NODE_24 =
  'if (Number.parseInt(process.versions.node, 10) < 24) { process.stderr.write("floe: Node " + process.versions.node + " is too old for this program; put Node 24 or later first in the PATH, or use npx floe in a checkout, which brings its own\\n"); process.exit(1); }';

/**
 * Modules of Node by `require`: what an older Node lacks is then missed where it is used. A static import of it would end
 * the program, with a page of minified code, before its first line could say so.
 */
const builtinsByRequire: Plugin = {
  name: 'builtins by require',
  setup({ onResolve, onLoad }) {
    const builtins = new Set(builtinModules);
    onResolve({ filter: /.*/ }, ({ path, kind }) =>
      kind !== 'require-call' && (path.startsWith('node:') || builtins.has(path))
        ? { path, namespace: 'builtin' }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }));
  },
};

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

/** Lies in the PATH of people, whose Node may be older: it must get as far as to say so. */
const commandLine: BuildOptions = {
  target: 'node20',
  banner: { js: `#!/usr/bin/env node\n${REQUIRE} ${NODE_24}` },
  plugins: [builtinsByRequire],
};

/** The text of a program, the same for the same sources. */
export async function bundle(program: 'cli' | 'agent'): Promise<string> {
  const version = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).version as string;
  const entry = `${program}/src/main.ts`;
  const result = await build({
    ...common,
    ...(program === 'cli' ? commandLine : {}),
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
