// Shows that the test bed does what it says, and how long each part takes: node e2e/bed/self-test.ts [--keep]
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from './cluster.ts';
import { ensureHost } from './ensure-host.ts';
import { Fleet } from './fleet.ts';
import { floeImage } from './images.ts';
import type { Machine } from './machine.ts';
import type { Progress } from './progress.ts';
import { run } from './run.ts';
import { waitUntil } from './wait-until.ts';

const keep = process.argv.includes('--keep');
const folder = await mkdtemp(join(tmpdir(), 'floe-bed-'));
const began = performance.now();
let passed = 0;

async function check(what: string, work: () => Promise<void>): Promise<void> {
  const start = performance.now();
  await work();
  passed += 1;
  console.log(`  ✔ ${what.padEnd(72)} ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

function onProgress(progress: Progress): void {
  if (progress.state === 'running')
    console.log(`    ${progress.step}: ${progress.detail} (${progress.seconds.toFixed(0)} s)`);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // it has ended meanwhile
  }
}

/** Runs switch-to-configuration of a closure in the machine's store, and expects that exit code. */
async function activate(machine: Machine, system: string, verb: string, expected = 0): Promise<void> {
  if (verb === 'switch' || verb === 'boot') {
    await machine.exec(['nix-env', '-p', '/nix/var/nix/profiles/system', '--set', system]);
  }
  const { code, stderr } = await machine.tryExec([`${system}/bin/switch-to-configuration`, verb]);
  if (code === expected) return;
  const state = (await machine.isRunning()) ? 'is running' : 'is off';
  assert.fail(`${verb} ended with ${code}, not ${expected}; ${machine.name} ${state}\n${stderr}`);
}

const cluster = await Cluster.open({ name: 'selftest' });
try {
  await check('the host has everything', async () => {
    await ensureHost({ onProgress });
  });

  const program = join(folder, 'floe.mjs');
  await writeFile(
    program,
    `console.log('floe runs as', process.getuid(), process.argv.slice(2).join(' ')); // ${Date.now()}\n`,
  );
  let image = await floeImage(program, { onProgress });
  await check('an image with another program', async () => {
    await writeFile(
      program,
      `console.log('floe runs as', process.getuid(), process.argv.slice(2).join(' ')); // ${Date.now()} again\n`,
    );
    image = await floeImage(program);
  });

  await check('cluster up', () => cluster.up({ images: [image], onProgress }));
  await check('cluster up again, over the running one', () => cluster.up({ images: [image] }));

  const fleet = new Fleet(join(folder, 'fleet'));
  await fleet.write({ machines: { m1: '{ }', m2: '{ }' } });
  const first = { m1: '', m2: '' };
  await check('first systems of two machines built', async () => {
    first.m1 = await fleet.build('m1');
    first.m2 = await fleet.build('m2');
    assert.notEqual(first.m1, first.m2);
  });

  let m1!: Machine;
  let m2!: Machine;
  await check('two machines made', async () => {
    [m1, m2] = await Promise.all([
      cluster.machines.create({ name: 'm1', system: first.m1 }),
      cluster.machines.create({ name: 'm2', system: first.m2 }),
    ]);
    assert.match(await m1.sshHostKey(), /^ssh-ed25519 [A-Za-z0-9+/=]+$/);
    assert.notEqual(m1.address, m2.address);
  });
  await check('two machines booted', async () => {
    await Promise.all([m1.start(), m2.start()]);
    assert.deepEqual(await m1.closures(), {
      current: first.m1,
      booted: first.m1,
      profile: first.m1,
      bootDefault: first.m1,
    });
    assert.equal((await m1.exec(['systemctl', 'is-active', 'hello.service'])).trim(), 'active');
    assert.equal((await m1.exec(['systemctl', 'list-units', '--failed', '--no-legend'])).trim(), '');
    assert.equal((await m1.exec(['hostname'])).trim(), 'm1');
  });

  await check('a pod runs the image as a user that is not root', async () => {
    await cluster.kubectl(['run', 'floe', `--image=${image.ref}`, '--restart=Never', '--', 'hello']);
    const logs = await waitUntil(async () => (await cluster.kubectl(['logs', 'floe'])) || undefined, {
      what: 'the pod to say something',
    });
    assert.equal(logs.trim(), 'floe runs as 65532 hello');
  });

  let serviceAddress = '';
  await check('pods and machines reach a Service by its name', async () => {
    const serve = "require('node:http').createServer((q, s) => s.end('served\\n')).listen(8080)";
    await cluster.kubectl([
      'run',
      'web',
      `--image=${image.ref}`,
      '--restart=Never',
      '--command',
      '--',
      'node',
      '-e',
      serve,
    ]);
    await cluster.kubectl(['expose', 'pod', 'web', '--port=80', '--target-port=8080']);
    await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/web', '--timeout=60s']);
    serviceAddress = (await cluster.kubectl(['get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}'])).trim();
    await waitUntil(async () => (await m1.exec(['curl', '-s', '-m', '2', 'http://web.default.svc'])) === 'served\n', {
      what: 'the Service',
    });
    const port = await cluster.forwards.open(serviceAddress, 80);
    assert.equal(await run(['curl', '-s', `http://127.0.0.1:${port}`]), 'served\n');
    const inPod = await cluster.kubectl(['exec', 'web', '--', 'getent', 'hosts', 'web.default.svc']);
    assert.match(inPod, new RegExp(serviceAddress));
  });

  await check('a network fault cuts one machine off, and only while it lasts', async () => {
    const fault = await cluster.network.block({ from: m1.address, to: serviceAddress });
    const ask = ['curl', '-s', '-m', '2', `http://${serviceAddress}`];
    assert.notEqual((await m1.tryExec(ask)).code, 0);
    assert.equal(await m2.exec(ask), 'served\n');
    await fault.remove();
    assert.equal(await m1.exec(ask), 'served\n');
  });

  await check('a frozen machine hangs until it is thawed, or killed', async () => {
    m2.freeze();
    let answered = false;
    const asked = m2.exec(['systemctl', 'is-active', 'hello.service'], { timeoutSeconds: 20 }).then(() => {
      answered = true;
    });
    await m1.exec(['sleep', '1']);
    assert.equal(answered, false);
    m2.thaw();
    await asked;
    m2.freeze();
    await m2.kill();
    await m2.start();
  });

  await check('a git repository is reached from a pod', async () => {
    const { url, commit } = await cluster.sources.publish('fleet', fleet.dir);
    assert.match(await cluster.kubectl(['exec', 'web', '--', 'git', 'ls-remote', url]), new RegExp(commit));
    assert.equal((await cluster.sources.publish('fleet', fleet.dir)).commit, commit);
    await cluster.sources.publish('secret', fleet.dir, { credentials: 'user:word' });
    await assert.rejects(
      cluster.kubectl([
        'exec',
        'web',
        '--',
        'git',
        '-c',
        'core.askPass=true',
        'ls-remote',
        url.replace('fleet', 'secret'),
      ]),
    );
    await cluster.kubectl([
      'exec',
      'web',
      '--',
      'git',
      'ls-remote',
      url.replace('//', '//user:word@').replace('fleet', 'secret'),
    ]);
  });

  await check('the flake is built in a pod, to the same system', async () => {
    const { url } = await cluster.sources.publish('fleet', fleet.dir);
    const attribute = 'nixosConfigurations.m1.config.system.build.toplevel';
    const command = ['nix', 'build', '--no-link', '--print-out-paths', `git+${url}#${attribute}`];
    const container = { name: 'nix', image: image.ref, command, volumeMounts: [{ name: 'nix', mountPath: '/nix' }] };
    const spec = {
      restartPolicy: 'Never',
      containers: [container],
      volumes: [{ name: 'nix', emptyDir: {} }],
      securityContext: { fsGroup: 65532 },
    };
    await cluster.kubectl(['apply', '-f', '-'], {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'nix' }, spec }),
    });
    const phase = await waitUntil(
      async () =>
        /Succeeded|Failed/.exec(await cluster.kubectl(['get', 'pod', 'nix', '-o', 'jsonpath={.status.phase}']))?.[0],
      { what: 'the build' },
    );
    const logs = await cluster.kubectl(['logs', 'nix']);
    assert.equal(phase, 'Succeeded', logs);
    assert.equal(logs.trim().split('\n').at(-1), first.m1);
  });

  const built: Record<string, string> = {};
  await check('systems with every knob built', async () => {
    const knobs: Record<string, string> = {
      second: '{ services.hello.greeting = "Servus"; }',
      unitFails: '{ test.unitFails = true; }',
      activationFails: '{ test.activationFails = true; }',
      otherInit: '{ test.initInterfaceVersion = 2; }',
      inhibited: '{ system.switch.inhibitors.dbus = "broker"; }',
      inhibitor: '{ system.switch.inhibitors.dbus = "dbus"; }',
      checkFails: '{ system.preSwitchChecks.never = "exit 3"; }',
      loaderFails: '{ test.bootLoaderFails = true; }',
      withoutHello: '({ lib, ... }: { services.hello.enable = lib.mkForce false; })',
      keepsHello:
        '({ lib, ... }: { services.hello.greeting = "later"; systemd.services.hello.restartIfChanged = false; })',
    };
    for (const [name, module] of Object.entries(knobs)) built[name] = await fleet.build('m1', [module]);
    const wrong = await fleet.tryBuild('m1', ['{ services.nginx.enabel = true; }']);
    assert.match(wrong.stderr, /error: The option `services\.nginx\.enabel' does not exist\. Definition values:/);
    assert.notEqual((await fleet.tryBuild('m1', ['{ test.buildFails = true; }'])).code, 0);
    for (const system of Object.values(built)) await cluster.machines.addClosure(m1, system);
  });
  const system = (name: string): string => built[name] ?? assert.fail(name);

  await check('test: active at once, gone after a power cut', async () => {
    await activate(m1, system('second'), 'test');
    assert.equal((await m1.closures()).current, system('second'));
    assert.match(await m1.sh('journalctl -u hello -o cat'), /Servus/);
    await m1.kill();
    await m1.start();
    assert.deepEqual(await m1.closures(), {
      current: first.m1,
      booted: first.m1,
      profile: first.m1,
      bootDefault: first.m1,
    });
  });
  await check('boot: nothing now, there after a restart', async () => {
    await activate(m1, system('second'), 'boot');
    const { current, bootDefault } = await m1.closures();
    assert.deepEqual([current, bootDefault], [first.m1, system('second')]);
    await m1.restart();
    assert.equal((await m1.closures()).booted, system('second'));
  });
  await check('switch: there now, and after a restart', async () => {
    await activate(m1, first.m1, 'switch');
    assert.equal((await m1.closures()).current, first.m1);
    await m1.restart();
    assert.equal((await m1.closures()).booted, first.m1);
  });
  await check('a reboot asked for inside', async () => {
    await activate(m1, system('second'), 'boot');
    await m1.tryExec(['systemctl', 'reboot']);
    await waitUntil(async () => (await m1.closures()).booted === system('second'), { what: 'm1 to come back' });
    await m1.booted();
    await activate(m1, first.m1, 'switch');
    await m1.restart();
  });
  await check('exit codes 1, 2, 4, 11, 100 and what is active after each', async () => {
    const code = (name: string, verb: string, expected: number): Promise<void> =>
      activate(m1, system(name), verb, expected);
    await code('unitFails', 'test', 4);
    assert.equal((await m1.closures()).current, system('unitFails'));
    await activate(m1, first.m1, 'test');
    await code('activationFails', 'test', 2);
    assert.equal((await m1.closures()).current, system('activationFails'));
    await activate(m1, first.m1, 'test');
    await code('otherInit', 'test', 100);
    await code('checkFails', 'test', 1);
    assert.equal(
      (await m1.tryExec(['env', 'NIXOS_NO_CHECK=1', `${system('checkFails')}/bin/switch-to-configuration`, 'test']))
        .code,
      0,
    );
    await code('inhibitor', 'test', 0);
    await code('inhibited', 'test', 1);
    await code('inhibited', 'dry-activate', 0);
    await code('loaderFails', 'boot', 1);
    await code('second', 'nonsense', 1);
    const busy = `flock /run/nixos/switch-to-configuration.lock ${first.m1}/bin/switch-to-configuration test`;
    assert.equal((await m1.tryExec(['sh', '-c', busy])).code, 11);
    await m1.exec(['nix-env', '-p', '/nix/var/nix/profiles/system', '--set', first.m1]);
    await activate(m1, first.m1, 'test');
  });
  await check('units: removed ones stop, restartIfChanged=false stays, changed ones restart', async () => {
    const pid = (): Promise<string> => m1.exec(['systemctl', 'show', '-P', 'MainPID', 'hello.service']);
    const before = await pid();
    await activate(m1, system('keepsHello'), 'test');
    assert.equal(await pid(), before);
    await activate(m1, first.m1, 'test');
    assert.notEqual(await pid(), before);
    await activate(m1, system('withoutHello'), 'test');
    assert.equal((await m1.tryExec(['systemctl', 'is-active', 'hello.service'])).stdout.trim(), 'inactive');
    assert.equal((await m1.tryExec(['ls', '/run/nixos/start-list'])).code, 2);
    await activate(m1, first.m1, 'test');
  });

  await check('FLOE_ROOT: the same without systemd', async () => {
    const root = join(folder, 'root');
    const inRoot = `mkdir -p $FLOE_ROOT/etc $FLOE_ROOT/nix/var/nix/profiles; touch $FLOE_ROOT/etc/NIXOS
      ln -s "$0" $FLOE_ROOT/nix/var/nix/profiles/system-1-link
      "$0/bin/switch-to-configuration" switch; readlink $FLOE_ROOT/run/current-system
      grep default $FLOE_ROOT/boot/loader/loader.conf; ls $FLOE_ROOT/run/floe-units/active
      "$1/bin/switch-to-configuration" test && exit 9 || echo code $?; ls $FLOE_ROOT/run/floe-units/failed`;
    const { inBuildStore } = await import('./build-store.ts');
    const printed = await inBuildStore([
      'env',
      `FLOE_ROOT=${root}`,
      'sh',
      '-uc',
      inRoot,
      first.m1,
      system('unitFails'),
    ]);
    assert.deepEqual(printed.trim().split('\n'), [
      first.m1,
      'default nixos-generation-1.conf',
      'hello.service',
      'code 4',
      'fails.service',
    ]);
  });

  await check('API server restarted', async () => {
    await cluster.restartApiServer();
    await cluster.kubectl(['get', 'nodes']);
  });
  await check('five machines more, made and booted at once', async () => {
    const names = ['a1', 'a2', 'a3', 'a4', 'a5'];
    await Promise.all(names.map(async (name) => (await cluster.machines.create({ name, system: first.m1 })).start()));
  });
  await check('a machine shut down in order, and from inside', async () => {
    await m2.stop();
    assert.equal(await m2.isRunning(), false);
    await m2.start();
    await m2.tryExec(['systemctl', 'poweroff']);
    await waitUntil(async () => !(await m2.isRunning()), { what: 'm2 to be off' });
    await m2.start();
    assert.equal((await m2.closures()).booted, first.m2);
  });

  if (!keep) {
    await check('down leaves no process, mount, cgroup or namespace', async () => {
      await cluster.down();
      assert.equal(existsSync('/sys/fs/cgroup/systemd/floe-selftest'), false);
      assert.equal(readFileSync('/proc/mounts', 'utf8').includes('clusters/selftest'), false);
      const left = readdirSync('/proc').filter(
        (pid) => /^[0-9]+$/.test(pid) && commandLine(pid).includes('clusters/selftest'),
      );
      assert.deepEqual(left.map(commandLine), []);
    });
  }
  console.log(`${passed} passed, 0 failed in ${((performance.now() - began) / 1000).toFixed(0)} s`);
} catch (error: unknown) {
  console.error(error);
  console.log(`${passed} passed, 1 failed`);
  process.exitCode = 1;
} finally {
  if (!keep) await cluster.down();
  await cluster.forwards.closeAll();
  await rm(folder, { recursive: true, force: true });
}
