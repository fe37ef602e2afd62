// Fetching and checking with a Nix that is a script: what is asked of it, and what its answers come to.
import { mkdtemp, readdir, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprint } from '@floe/crds/nix-fingerprint';
import { makeKeyPair, signText } from '@floe/crds/nix-key';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { orderFor } from '../attempt/model.fixture.ts';
import type { Order } from '../attempt/record.ts';
import { lineLog } from '../log.ts';
import type { Commander, CommandResult } from '../machine/command.ts';
import { type Paths, pathsUnder } from '../paths.ts';
import { NixStore } from './nix-store.ts';
import { substituterFault } from './substituters.ts';
import { SystemProfile } from './system-profile.ts';

const closure = '/nix/store/11111111111111111111111111111111-new';
const key = makeKeyPair('shop-floe-1');
let paths: Paths;
beforeEach(async () => {
  paths = pathsUnder(await mkdtemp(join(tmpdir(), 'floe-store-')));
});
afterEach(() => rm(paths.root, { recursive: true, force: true }));

const ok = (stdout = ''): CommandResult => ({ code: 0, stdout, stderr: '' });
const failed = (stderr: string): CommandResult => ({ code: 1, stdout: '', stderr });
const signature = signText(
  fingerprint({ path: closure, narHash: `sha256:${'0'.repeat(52)}`, narSize: 1, references: [] }) ?? '',
  key.secret,
);

function pathInfo(signatures: string[]): CommandResult {
  return ok(
    JSON.stringify({
      [closure]: { narHash: `sha256:${'0'.repeat(52)}`, narSize: 1, references: [], signatures, ultimate: true },
    }),
  );
}

type Nix = (line: string) => CommandResult;

type Given = {
  order?: Partial<Order>;
  keys?: string[];
  free?: number;
  /** What Nix says that it would fetch. */
  toFetch?: () => string;
};

async function fetch(nix: Nix, { order = {}, keys, free = 2 ** 40, toFetch = () => '' }: Given = {}) {
  const lines: string[] = [];
  const notes: string[] = [];
  const command: Commander = async (program, args) => {
    const line = [program, ...args].join(' ');
    if (args.includes('--dry-run')) return { ...ok(), stderr: toFetch() };
    lines.push(line);
    return nix(line);
  };
  const log = lineLog(() => undefined, false);
  const store = new NixStore({
    paths,
    command,
    log,
    trustedPublicKeys: keys,
    substituters: ['http://mirror.lan'],
    reserveBytes: 2 ** 29,
    freeBytes: async () => free,
  });
  const whole: Order = {
    ...orderFor({ mode: 'switch', confirm: 'hub' }),
    closure,
    substituters: ['https://cache.example/shop'],
    ...order,
  };
  const result = await store.fetch(whole, (text) => notes.push(text), AbortSignal.timeout(20_000));
  return { result, lines, notes };
}

const config = (keys: string[]) => ok(JSON.stringify({ 'trusted-public-keys': { value: keys } }));

test('a signed closure is fetched from the caches that were named, with the keys of Nix configuration', async () => {
  const { result, lines } = await fetch((line) => {
    if (line.includes('config show')) return config([key.public]);
    return line.includes('path-info') ? pathInfo([signature ?? '']) : ok();
  });
  expect(result).toEqual({ kind: 'fetched' });
  const realise = lines.find((line) => line.startsWith('nix-store --realise')) ?? '';
  expect(realise).toContain('--option extra-substituters https://cache.example/shop http://mirror.lan');
  // A power cut must not leave empty files in a path that Nix calls valid.
  expect(realise).toContain('--option fsync-store-paths true');
  expect(realise).toContain(`--option trusted-public-keys ${key.public}`);
  expect(realise).toContain('narinfo-cache-negative-ttl 0');
  // A cache that was lost and filled again has the same paths under other file names.
  expect(realise).toContain('narinfo-cache-positive-ttl 0');
  expect(realise).toContain(`--add-root ${paths.gcRoots}/new`);
});

test('Nix before 2.20 is asked for its configuration in its own words', async () => {
  const { result } = await fetch((line) => {
    if (line.includes('config show')) return failed("error: 'config' is not a recognised command");
    if (line.includes('show-config')) return config([key.public]);
    return line.includes('path-info') ? pathInfo([signature ?? '']) : ok();
  });
  expect(result.kind).toBe('fetched');
});

test('a path that lies in the store unsigned is refused, though Nix itself built it', async () => {
  const { result } = await fetch((line) => (line.includes('path-info') ? pathInfo([]) : ok()), { keys: [key.public] });
  expect(result.kind).toBe('refused');
  expect(result.kind === 'refused' && result.message).toContain(`${closure}: it has no signature`);
});

test('a path that came without signatures gets them from the cache', async () => {
  let copied = false;
  const { result, lines } = await fetch(
    (line) => {
      if (line.includes('copy-sigs')) copied = true;
      return line.includes('path-info') ? pathInfo(copied ? [signature ?? ''] : []) : ok();
    },
    { keys: [key.public] },
  );
  expect(result.kind).toBe('fetched');
  expect(lines.filter((line) => line.includes('copy-sigs --substituter https://cache.example/shop'))).toHaveLength(1);
});

test('an order of root at the console needs no signature', async () => {
  const { result, lines } = await fetch(() => ok(), { order: { origin: 'local' }, keys: [] });
  expect(result.kind).toBe('fetched');
  expect(lines.some((line) => line.includes('path-info'))).toBe(false);
});

test.each([
  {
    says: "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key",
    kind: 'refused',
    tries: 1,
  },
  { says: "error: cannot add path '/nix/store/x' because it lacks a valid signature", kind: 'refused', tries: 1 },
  {
    says: "warning: ignoring substitute for '/nix/store/x' from 'https://cache', as it's not signed by any of the keys in 'trusted-public-keys'\nerror: build of '/nix/store/x' failed",
    kind: 'refused',
    tries: 1,
  },
])('$says: $kind at once', async ({ says, kind, tries }) => {
  const { result, lines } = await fetch((line) => (line.startsWith('nix-store') ? failed(says) : ok()), {
    keys: [key.public],
  });
  expect(result.kind).toBe(kind);
  expect(lines.filter((line) => line.startsWith('nix-store'))).toHaveLength(tries);
});

test('a cache that is out of reach for a moment is tried again, and that is told', async () => {
  let tries = 0;
  const { result, notes } = await fetch(
    (line) => {
      if (line.includes('path-info')) return pathInfo([signature ?? '']);
      tries += 1;
      return line.startsWith('nix-store') && tries < 2
        ? failed("error: unable to download 'https://cache': Couldn't connect")
        : ok();
    },
    { keys: [key.public] },
  );
  expect(result.kind).toBe('fetched');
  expect(notes[0]).toContain("https://cache can't be downloaded: Couldn't connect");
});

test('a person at the console is told at once', async () => {
  const { result, lines } = await fetch(
    (line) =>
      line.startsWith('nix-store')
        ? failed(`don't know how to build these paths:\n  ${closure}\nerror: build failed`)
        : ok(),
    {
      order: { origin: 'local' },
      keys: [],
    },
  );
  expect(result).toEqual({ kind: 'unavailable', message: `${closure} could not be fetched: no cache has ${closure}.` });
  expect(lines).toHaveLength(1);
});

test('a machine that trusts no key says so', async () => {
  const { result } = await fetch((line) => (line.includes('show') ? config([]) : ok()));
  expect(result.kind === 'refused' && result.message).toContain('No key is trusted here. Add the key');
});

test.each([
  { url: 'https://cache.example/shop?priority=10', fault: undefined },
  { url: 'file:///mnt/cache', fault: undefined },
  { url: 's3://bucket?region=eu', fault: undefined },
  { url: 'https://evil.example?trusted=true', fault: 'without signatures' },
  { url: 'https://a https://b', fault: 'white space' },
  { url: 'local?root=/tmp', fault: 'no URL' },
  { url: 'unix:///run/x', fault: 'scheme' },
  { url: 'ssh://host', fault: 'scheme' },
])('substituter $url', ({ url, fault }) => {
  if (fault === undefined) expect(substituterFault(url)).toBeUndefined();
  else expect(substituterFault(url)).toContain(fault);
});

test('the way back of the profile uses its old generation, and leaves none of the failed closure', async () => {
  const asked: string[][] = [];
  const system = new SystemProfile({ ...paths, profile: join(paths.root, 'system') }, async (_, args) => {
    asked.push([...args]);
    return ok();
  });
  const old = '/nix/store/00000000000000000000000000000000-old';
  const links = { 'system-9-link': old, 'system-10-link': closure, 'system-3-link': closure, 'other-11-link': old };
  for (const [name, target] of Object.entries(links)) await symlink(target, join(paths.root, name));
  expect(await system.restore(old, closure, AbortSignal.timeout(1_000))).toEqual({ kind: 'ok' });
  expect(asked).toEqual([['-p', join(paths.root, 'system'), '--switch-generation', '9']]);
  expect((await readdir(paths.root)).sort()).toEqual(['other-11-link', 'system-3-link', 'system-9-link']);
  // Once more, as after a crash: nothing else goes.
  await system.restore(old, closure, AbortSignal.timeout(1_000));
  expect(await readlink(join(paths.root, 'system-3-link'))).toBe(closure);
});

/** In the words of Nix. */
const WANTS_2_GIB = 'these 9 paths will be fetched (900.00 MiB download, 2150.40 MiB unpacked):';

test('a closure that does not fit is not fetched: a person is told at once, with numbers and remedy', async () => {
  const { result, lines } = await fetch(() => ok(), {
    order: { origin: 'local' },
    keys: [key.public],
    free: 800 * 2 ** 20,
    toFetch: () => WANTS_2_GIB,
  });
  expect(result).toEqual({
    kind: 'unavailable',
    message:
      'There is no room for the closure: it needs 2.1 GiB in /nix, 800 MiB are free there and 512 MiB must stay free; run nix-collect-garbage, or make the file system larger.',
  });
  expect(lines).toEqual([]);
});

test('an order of the hub waits for room and says so meanwhile', async () => {
  let tries = 0;
  const { result, notes } = await fetch((line) => (line.includes('path-info') ? pathInfo([signature ?? '']) : ok()), {
    keys: [key.public],
    free: 800 * 2 ** 20,
    toFetch: () => (tries++ === 0 ? WANTS_2_GIB : ''),
  });
  expect(result).toEqual({ kind: 'fetched' });
  expect(notes[0]).toMatch(/^There is no room for the closure, it is tried again: it needs 2\.1 GiB/);
}, 20_000);

const publicKey = makeKeyPair('cache.nixos.org-1');
const publicSignature = signText(
  fingerprint({ path: closure, narHash: `sha256:${'0'.repeat(52)}`, narSize: 1, references: [] }) ?? '',
  publicKey.secret,
);

test("without keys of the agent's own the key of the public cache signs no system", async () => {
  const nix = (keys: string[], signatures: string[]) => (line: string) => {
    if (line.includes('config show')) return config(keys);
    return line.includes('path-info') ? pathInfo(signatures) : ok();
  };
  const alone = await fetch(nix([publicKey.public], [publicSignature ?? '']));
  expect(alone.result).toMatchObject({ kind: 'refused', message: expect.stringContaining('trustedPublicKeys') });
  const beside = await fetch(nix([publicKey.public, key.public], [publicSignature ?? '']));
  expect(beside.result).toMatchObject({ kind: 'refused', message: expect.stringContaining('Not signed by a key') });
  expect((await fetch(nix([publicKey.public, key.public], [signature ?? '']))).result).toEqual({ kind: 'fetched' });
  const meant = await fetch(nix([], [publicSignature ?? '']), { keys: [publicKey.public] });
  expect(meant.result).toEqual({ kind: 'fetched' });
});

test('a cache that sends more than it said does not fill the disk: the fetch ends where the reserve begins', async () => {
  let free = 2 ** 30;
  let ended = false;
  const command: Commander = (_program, args, { signal }) => {
    if (args.includes('--dry-run') || !args.includes('--realise')) return Promise.resolve(config([key.public]));
    const filling = setInterval(() => {
      free -= 2 ** 27;
    }, 1);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        clearInterval(filling);
        ended = true;
        reject(signal.reason);
      });
    });
  };
  const store = new NixStore({
    paths,
    command,
    log: lineLog(() => undefined, false),
    trustedPublicKeys: [key.public],
    substituters: [],
    reserveBytes: 2 ** 29,
    freeBytes: async () => free,
    watchMs: 1,
  });
  const order: Order = { ...orderFor({ mode: 'switch', confirm: 'hub' }), closure };
  const result = await store.fetch(order, () => undefined, AbortSignal.timeout(20_000));
  expect(result).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('512 MiB must stay free') });
  expect(ended).toBe(true);
});
