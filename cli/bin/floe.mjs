#!/usr/bin/env node
// Runs the built floe with Node 24: the Node that runs already, or the one of the checkout.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const program = fileURLToPath(new URL('../../dist/floe.mjs', import.meta.url));
const node = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
const isNew = Number(process.versions.node.split('.')[0]) >= 24;

if (!existsSync(program)) {
  console.error('floe: dist/floe.mjs is not there yet; run `npm run build` in the checkout first');
  process.exitCode = 1;
} else if (isNew) {
  process.argv[1] = program;
  await import(pathToFileURL(program).href);
} else if (!existsSync(node)) {
  console.error(
    `floe: Node ${process.versions.node} is too old; run \`npm install\` in the checkout, which brings Node 24`,
  );
  process.exitCode = 1;
} else {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}
