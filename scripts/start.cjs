// Starts a script of the project with Node 24, whichever Node from 20 on runs this file, after it has installed the packages where they are missing.
const { spawnSync, spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const node = join(root, 'node_modules', '.bin', 'node');
const stamp = join(root, 'node_modules', '.floe-packages');

function fail(message) {
  console.error(`floe: ${message}`);
  process.exit(1);
}

function wanted() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

function installed() {
  return existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted();
}

function install() {
  const started = Date.now();
  process.stdout.write('Packages of npm, Node 24 among them: about 1 minute, 750 MB in node_modules … ');
  // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, which a registry need not have.
  const result = spawnSync(
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  if (result.status !== 0) {
    process.stdout.write('failed\n');
    fail(
      `npm install did not work; is the npm registry reachable?\n${result.stdout ?? ''}${result.stderr ?? result.error ?? ''}`,
    );
  }
  writeFileSync(stamp, wanted());
  process.stdout.write(`done in ${Math.round((Date.now() - started) / 1000)} s\n`);
}

function checkNode() {
  const { stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  const major = Number(/^v(\d+)/.exec(stdout ?? '')?.[1]);
  if (!(major >= 24))
    fail(
      `node_modules/.bin/node is ${stdout?.trim() || 'missing'}, Node 24 is needed; this platform has no node-${process.platform}-${process.arch} package`,
    );
}

if (Number(process.versions.node.split('.')[0]) < 20)
  fail(`Node ${process.versions.node} is too old; install Node 20 or later`);
if (!installed()) install();
checkNode();

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail('usage: node scripts/start.cjs SCRIPT [ARGUMENT …]');
const path = `${join(root, 'node_modules', '.bin')}:${process.env.PATH}`;
const child = spawn(node, [join(root, script), ...args], { stdio: 'inherit', env: { ...process.env, PATH: path } });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
child.on('error', (error) => fail(error.message));
