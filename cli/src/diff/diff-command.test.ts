// `floe diff` over a cluster in memory and a cache in a folder, over http, and as Nix itself writes one.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { controllerRevisions, nixConfigs, nixMachines, rollouts } from '@floe/operator/kube/resource';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FakeApiServer } from '../../../e2e/fake-apiserver/fake-api-server.ts';
import { InputError } from '../input-error.ts';
import { openCache } from './cache-files.ts';
import { addTwoSystems, storePath, TestCache } from './diff.fixture.ts';
import { diffCommand } from './diff-command.ts';
import { differenceOf } from './fleet-difference.ts';

const signal = new AbortController().signal;
let folder = '';
let cache: TestCache;
let systems = { before: '', after: '' };
let api: FakeApiServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-diff-'));
  cache = new TestCache(folder);
  systems = await addTwoSystems(cache);
  api = await FakeApiServer.start();
  const meta = (name: string) => ({ name, namespace: 'shop' });
  const kind = (name: string) => ({ apiVersion: 'floe.dev/v1alpha1', kind: name });
  api.seed(rollouts, { ...kind('Rollout'), metadata: meta('web'), spec: { configRef: { name: 'web' } } });
  api.seed(nixConfigs, {
    ...kind('NixConfig'),
    metadata: meta('web'),
    spec: { source: { flake: 'github:acme/fleet' } },
    status: { revision: { id: '3f9c2ab41c07', source: 'main', builtAt: '2026-03-01T11:00:00Z' } },
  });
  for (const [name, closure] of Object.entries({
    m1: systems.before,
    m2: systems.before,
    m3: systems.after,
    m4: storePath('somewhere-else'),
    m5: undefined,
  })) {
    const current = closure === undefined ? {} : { current: { closure } };
    api.seed(nixMachines, {
      ...kind('NixMachine'),
      metadata: meta(name),
      spec: { configRef: { name: 'web' } },
      status: { connection: { online: true, since: '2026-03-01T10:00:00Z' }, ...current },
    });
  }
  api.seed(controllerRevisions, {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: meta('web-r'),
    revision: 1,
    data: {
      config: 'web',
      revision: '3f9c2ab41c07',
      source: 'main',
      builtAt: '2026-03-01T11:00:00Z',
      part: 0,
      parts: 1,
      job: 'web-r',
      machines: { m1: systems.after, m2: systems.after, m3: systems.after, m4: systems.after },
      failures: { m5: { stage: 'Build', message: 'no such option' } },
      summary: { seconds: 1, closures: 1, bytes: 1, builtDerivations: 1 },
    },
  });
});

afterAll(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

const run = (...argv: string[]) =>
  diffCommand(argv, {
    connect: async () => Object.assign(api.client(), { close: async () => undefined }),
    now: () => new Date(),
    signal,
  });

const difference = {
  machines: ['m1', 'm2'],
  closure: {
    packages: [
      { name: 'config', before: [''], after: [] },
      { name: 'jq', before: [], after: ['1.8'] },
      { name: 'linux', before: ['6.12.1'], after: ['6.12.9'] },
      { name: 'nginx', before: ['1.28.0'], after: ['1.29.1'] },
    ],
  },
  system: {
    units: {
      restart: ['nginx.service'],
      reload: ['reloads.service'],
      stop: ['gone.service'],
      start: ['new.service'],
      keep: ['kept.service'],
    },
    reboot: ['kernel', 'initrd'],
    unknown: [],
  },
};

test('JSON: packages, units, reboots, bytes, by pair of closures', async () => {
  const printed = JSON.parse(await run('web', '-n', 'shop', '--cache', cache.url, '--json'));
  expect(printed).toMatchObject({
    rollout: 'web',
    revision: '3f9c2ab41c07',
    same: 1,
    notCompared: 0,
    notBuilt: [{ machine: 'm5', message: 'no such option' }],
  });
  expect(printed.differences).toMatchObject([difference, { machines: ['m4'] }]);
  const [first, second] = printed.differences;
  // nginx, jq, linux, etc, units, the system itself and the five units that differ.
  expect(first.closure.fetch.paths).toBe(11);
  expect(first.closure.fetch.bytes).toBeGreaterThan(1000);
  expect(second.closure).toBeUndefined();
  expect(second.unknown).toEqual([
    expect.stringMatching(/somewhere-else, is not in the cache: .* by hand, .*KiB in \d+ paths/),
  ]);
  expect(second.unknown[0]).toContain(`nix store diff-closures /run/current-system ${systems.after}`);
});

test('text for people', async () => {
  const text = await run('rollout/web', '-n', 'shop', `--cache=${cache.url}`);
  for (const line of [
    /^Rollout web {3}3f9c2ab$/m,
    /^m1, m2 {3}[0-9a-z]{7} -> [0-9a-z]{7}$/m,
    /^ {2}fetches .* in 11 paths; the closure changes by [+-]/m,
    /nginx +1\.28\.0 -> 1\.29\.1 +\+/,
    /jq +added 1\.8/,
    /^ {2}restarts nginx\.service$/m,
    /^ {2}leaves as they run kept\.service$/m,
    /^ {2}reboot required: kernel, initrd$/m,
    /^1 machine runs it already$/m,
    /^m5: no such option$/m,
  ]) {
    expect(text).toMatch(line);
  }
});

test('the same over http', async () => {
  const server = createServer((request, response) => {
    readFile(join(folder, request.url?.replace('/shop/', '') ?? '')).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const files = openCache(`http://127.0.0.1:${port}/shop`, signal);
  try {
    expect(
      await differenceOf({ from: systems.before, to: systems.after, machines: ['m1', 'm2'] }, files),
    ).toMatchObject(difference);
  } finally {
    await files.close();
    server.close();
    server.closeAllConnections();
  }
});

test.each<[string, string[], string]>([
  ['no cache is known', ['web', '-n', 'shop'], '--cache'],
  ['a cache that only Nix reads', ['web', '-n', 'shop', '--cache', 's3://x'], '--cache'],
  ['a Rollout that is not there', ['db', '-n', 'shop'], 'NAME'],
  ['no name', [], 'NAME'],
])('wrong input: %s', async (_, argv, field) => {
  const failure = await run(...argv).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InputError);
  expect((failure as InputError).field).toBe(field);
});

/** Named apart: dead-code checks take it for a package else. */
const NIX = 'nix';
test('a cache that can not be asked: the way to reach it is said', async () => {
  await rm(join(folder, 'x'), { force: true });
  await writeFile(join(folder, 'x'), 'no folder');
  await expect(run('web', '-n', 'shop', '--cache', `${cache.url}/x`)).rejects.toThrow(/can't be read.*give --cache/);
});

const nix = ((): string | undefined => {
  try {
    return execFileSync(NIX, ['--version'], { encoding: 'utf8' });
  } catch {
    return undefined;
  }
})();

test.runIf(nix !== undefined)('a cache that Nix wrote', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'floe-diff-nix-'));
  const env = {
    ...process.env,
    NIX_REMOTE: `local?root=${scratch}`,
    NIX_CONFIG: 'experimental-features = nix-command',
  };
  const call = (...args: string[]) => execFileSync(args[0] ?? '', args.slice(1), { encoding: 'utf8', env }).trim();
  const add = async (name: string, files: Record<string, string>) => {
    const source = join(scratch, 'src', name);
    await mkdir(source, { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      if (text.startsWith('-> ')) await symlink(text.slice(3), join(source, file));
      else await writeFile(join(source, file), text);
    }
    return call('nix', 'store', 'add-path', source);
  };
  try {
    const units = async (n: number) =>
      add(`system-units-${n}`, {
        'a.service': `[Service]\nExecStart=/a${n}\n`,
        'b.service': '[Service]\nExecStart=/b\n',
      });
    const system = async (n: number) => {
      const etc = join(scratch, 'etc', String(n), `nixos-system-web-${n}`);
      await mkdir(join(etc, 'etc', 'systemd'), { recursive: true });
      await symlink(await units(n), join(etc, 'etc', 'systemd', 'system'));
      await writeFile(join(etc, 'kernel-params'), `quiet x=${n}`);
      return call('nix', 'store', 'add-path', etc);
    };
    const [from, to] = [await system(1), await system(2)];
    const out = `file://${join(scratch, 'cache')}?compression=zstd`;
    // add-path records no references: units are found by their links all the same.
    const all = [from, to, await units(1), await units(2)];
    call('nix', 'copy', '--to', out, '--no-check-sigs', ...all);
    const files = openCache(out, signal);
    const found = await differenceOf({ from, to, machines: ['m1'] }, files);
    expect(found.system).toMatchObject({ units: { restart: ['a.service'] }, reboot: ['kernel-params'], unknown: [] });
    expect(found.closure?.packages).toMatchObject([{ name: 'nixos-system-web', before: ['1'], after: ['2'] }]);
  } finally {
    execFileSync('chmod', ['-R', 'u+w', scratch]);
    await rm(scratch, { recursive: true });
  }
});
