// The rules by which boot loaders choose: counters, EFI variables, menus in menus, environment blocks, loaders given up.
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pathsUnder } from '../../paths.ts';
import { readBootDefault, readBootLoader } from '../boot-default.ts';
import { findItem, parseMenu } from './grub.ts';
import { chooseEntry, compareVersions, entryOf, inMenuOrder, isCountedBoot } from './systemd-boot.ts';

const A = '/nix/store/00000000000000000000000000000000-nixos-system-a';
const B = '/nix/store/11111111111111111111111111111111-nixos-system-b';
const C = '/nix/store/22222222222222222222222222222222-nixos-system-c';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'floe-loaders-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(name: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), content);
}

const GUID = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
const variable = (name: string, value: string) =>
  write(
    `sys/firmware/efi/efivars/${name}-${GUID}`,
    Buffer.concat([Buffer.from([7, 0, 0, 0]), Buffer.from(`${value}\0`, 'utf16le')]),
  );
const entry = (closure: string, generation = 1) =>
  `title NixOS\nversion Generation ${generation} NixOS 26.11, built on 2026-03-01\noptions init=${closure}/init loglevel=4\nsort-key nixos`;
const says = () => readBootDefault(pathsUnder(root), undefined);

// As NixOS 26.11 writes them with boot counting.
const COUNTED = 'timeout 5\npreferred nixos-bbb.conf\ndefault nixos-*\nconsole-mode keep\n';

test.each<{ name: string; entries: Record<string, string>; closure: string | undefined }>([
  { name: 'new, three tries left', entries: { 'nixos-aaa': entry(A, 1), 'nixos-bbb+3': entry(B, 2) }, closure: B },
  { name: 'one try left', entries: { 'nixos-aaa': entry(A, 1), 'nixos-bbb+1-2': entry(B, 2) }, closure: B },
  { name: 'called good', entries: { 'nixos-aaa': entry(A, 1), 'nixos-bbb': entry(B, 2) }, closure: B },
  {
    name: 'no try left: the one before',
    entries: { 'nixos-aaa': entry(A, 1), 'nixos-bbb+0-3': entry(B, 2) },
    closure: A,
  },
  {
    name: 'no try left: the newest of those before, by generation',
    entries: { 'nixos-zzz': entry(A, 9), 'nixos-ccc': entry(C, 10), 'nixos-bbb+0-3': entry(B, 11) },
    closure: C,
  },
  { name: 'all are bad: one of them', entries: { 'nixos-bbb+0-3': entry(B, 2) }, closure: B },
  { name: 'no entry', entries: {}, closure: undefined },
])('systemd-boot counts: $name', async ({ entries, closure }) => {
  await write('boot/loader/loader.conf', COUNTED);
  for (const [name, text] of Object.entries(entries)) await write(`boot/loader/entries/${name}.conf`, text);
  expect((await says())?.closure).toBe(closure);
});

test.each<{ name: string; variables: Record<string, string>; closure: string | undefined }>([
  { name: 'none', variables: {}, closure: B },
  { name: 'a default chosen in the menu', variables: { LoaderEntryDefault: 'nixos-aaa.conf' }, closure: A },
  { name: 'one boot only', variables: { LoaderEntryOneShot: 'nixos-aaa.conf' }, closure: A },
  {
    name: 'one boot only comes first',
    variables: { LoaderEntryOneShot: 'nixos-ccc.conf', LoaderEntryDefault: 'nixos-aaa.conf' },
    closure: C,
  },
  { name: 'one that is gone', variables: { LoaderEntryDefault: 'nixos-ddd.conf' }, closure: B },
  { name: 'the last one chosen, which is not known', variables: { LoaderEntryDefault: '@saved' }, closure: undefined },
])('systemd-boot with EFI variables: $name', async ({ variables, closure }) => {
  await write('boot/loader/loader.conf', 'default nixos-bbb.conf\n');
  await write('boot/loader/entries/nixos-aaa.conf', entry(A));
  await write('boot/loader/entries/nixos-bbb.conf', entry(B));
  await write('boot/loader/entries/nixos-ccc.conf', entry(C));
  for (const [name, value] of Object.entries(variables)) await variable(name, value);
  expect((await says())?.closure).toBe(closure);
});

test('loader.conf on the EFI partition, entries in /boot', async () => {
  await write('efi/loader/loader.conf', 'default nixos-aaa.conf\n');
  await write('boot/loader/entries/nixos-aaa.conf', entry(A));
  expect(await says()).toEqual({ closure: A, verified: true });
});

test('a counted boot is known by its EFI variable', async () => {
  const { efivars } = pathsUnder(root);
  expect(await isCountedBoot(efivars)).toBe(false);
  await variable('LoaderBootCountPath', '\\loader\\entries\\nixos-bbb+2-1.conf');
  expect(await isCountedBoot(efivars)).toBe(true);
});

test.each([
  ['Generation 9', 'Generation 10', -1],
  ['1.10', '1.9', 1],
  ['a', 'a', 0],
  ['a', 'b', -1],
  ['1.0', '1.0.1', -1],
])('%s against %s', (one, other, sign) => {
  expect(Math.sign(compareVersions(one, other))).toBe(sign);
});

const anyEntry = fc
  .record({
    name: fc.constantFrom('nixos-a', 'nixos-b', 'nixos-c', 'windows'),
    left: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    generation: fc.nat({ max: 20 }),
  })
  .map(({ name, left, generation }) =>
    entryOf(`${name}${left === undefined ? '' : `+${left}-1`}.conf`, entry(A, generation)),
  );

test('a preferred entry without tries is never taken while a good one is there; the order of files does not matter', () => {
  const entries = fc.uniqueArray(anyEntry, { selector: ({ id }) => id, maxLength: 4 });
  fc.assert(
    fc.property(entries, fc.func(fc.integer()), (all, shuffle) => {
      const choice = { preferred: 'nixos-a.conf', default: 'nixos-*' };
      const chosen = chooseEntry(all, choice);
      const nixos = all.filter(({ id }) => id.startsWith('nixos-'));
      expect(chosen === undefined).toBe(nixos.length === 0);
      if (nixos.some(({ triesLeft }) => triesLeft !== 0)) expect(chosen?.triesLeft).not.toBe(0);
      const mixed = [...all].sort((one, other) => shuffle(one.file) - shuffle(other.file));
      expect(inMenuOrder(mixed)).toEqual(inMenuOrder(all));
    }),
  );
});

const linux = (closure: string) => `  linux ($drive1)/kernels/x-bzImage init=${closure}/init quiet\n`;
const grubHead = (otherwise: string) => `
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "\${next_entry}" ]; then
  set default="\${next_entry}"
  set next_entry=
  save_env next_entry
else
  set default=${otherwise}
fi
function savedefault {
    save_env saved_entry
}
`;
// As NixOS writes it: the newest with its specialisations, then all in a folder.
const grubMenu = `
menuentry "NixOS - Default" --class nixos --unrestricted {
search --set=drive1 --fs-uuid 1
${linux(B)}  initrd ($drive1)/kernels/x-initrd
}

menuentry "NixOS - (debug - 2026-03-01 - 26.11)" {
${linux(C)}}

submenu "NixOS - All configurations" --class submenu {
menuentry "NixOS - Configuration 2 (2026-03-01 - 26.11)" {
${linux(B)}}
submenu "NixOS - Configuration 1" --class submenu {
menuentry "NixOS - Configuration 1 - Default" {
${linux(A)}}
}
}
`;

test.each<{ name: string; otherwise: string; environment?: string; closure: string | undefined }>([
  { name: 'the first', otherwise: '"0"', closure: B },
  { name: 'a number without quotes', otherwise: '1', closure: C },
  { name: 'in a folder in a folder', otherwise: '"2>1>0"', closure: A },
  { name: 'a folder means its first', otherwise: '2', closure: B },
  { name: 'a title', otherwise: '"NixOS - Default"', closure: B },
  {
    name: 'a path of titles',
    otherwise: '"NixOS - All configurations>NixOS - Configuration 1"',
    closure: A,
  },
  { name: 'the saved one', otherwise: `"\${saved_entry}"`, environment: 'saved_entry=2>1\n', closure: A },
  { name: 'none was saved', otherwise: `"\${saved_entry}"`, closure: B },
  { name: 'grub-reboot comes first', otherwise: '"0"', environment: 'saved_entry=0\nnext_entry=1\n', closure: C },
  { name: 'grub-reboot was used up', otherwise: '"0"', environment: 'next_entry=\n', closure: B },
  { name: 'a number too high', otherwise: '7', closure: undefined },
  { name: 'a variable that is not known', otherwise: `"\${mine}"`, closure: undefined },
])('GRUB: $name', async ({ otherwise, environment, closure }) => {
  await write('boot/grub/grub.cfg', `${grubHead(otherwise)}${grubMenu}`);
  if (environment !== undefined) await write('boot/grub/grubenv', `# GRUB Environment Block\n${environment}######`);
  expect((await says())?.closure).toBe(closure);
});

test('GRUB: entries by id, and braces inside entries', () => {
  const menu = parseMenu(
    `menuentry 'One' --id one {\n  if [ x ]; then {\n    echo a\n  }\n  fi\n}\nmenuentry 'Two' $menuentry_id_option 'two' {\n  echo b\n}\n`,
  );
  expect(menu.map(({ title, id }) => [title, id])).toEqual([
    ['One', 'one'],
    ['Two', 'two'],
  ]);
  expect(findItem(menu, 'two')?.body).toContain('echo b');
});

test('whatever stands in grub.cfg, reading it ends', () => {
  const piece = fc.constantFrom('menuentry "a" {\n', 'submenu "b" {\n', '}\n', 'linux x\n', '{\n', ' ', '"', '\n');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.string(), (pieces, name) => {
      findItem(parseMenu(pieces.join('')), name);
    }),
  );
});

test.each([
  [
    'limine',
    'boot/limine/limine.conf',
    `default_entry: 2\n/+NixOS\n//Generation 2\nprotocol: linux\ncmdline: init=${B}/init quiet\n//Generation 1\ncmdline: init=${A}/init\n`,
  ],
  [
    'refind',
    'boot/EFI/refind/refind.conf',
    `default_selection 2\nmenuentry "NixOS" {\n  options "init=${B}/init quiet"\n}\n`,
  ],
])('%s is read as far as it goes, and not called verified', async (loader, file, text) => {
  await write(file, text);
  expect(await says()).toEqual({ closure: B, verified: false });
  expect((await readBootLoader(pathsUnder(root)))?.loader).toBe(loader);
});

test('of two loaders the one that was written last counts, also where it does not say what it starts', async () => {
  await write('boot/loader/loader.conf', 'default nixos-aaa.conf\n');
  await write('boot/loader/entries/nixos-aaa.conf', entry(A));
  await write('boot/grub/grub.cfg', `${grubHead('"0"')}${grubMenu}`);
  const at = (file: string, seconds: number) => utimes(join(root, file), seconds, seconds);
  await at('boot/loader/loader.conf', 1000);
  await at('boot/grub/grub.cfg', 2000);
  expect((await says())?.closure).toBe(B);
  await at('boot/loader/loader.conf', 3000);
  expect((await says())?.closure).toBe(A);
  await write('boot/loader/loader.conf', 'default none.conf\n');
  expect(await says()).toBe(undefined);
  expect(await readBootDefault(pathsUnder(root), C)).toEqual({ closure: C, verified: false });
});
