// Reading the boot loaders' own files.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pathsUnder } from '../paths.ts';
import { readBootDefault } from './boot-default.ts';
import { observe } from './observe.ts';

const A = '/nix/store/00000000000000000000000000000000-nixos-system-a';
const B = '/nix/store/11111111111111111111111111111111-nixos-system-b';

let root = '';
let boot = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'floe-boot-'));
  boot = join(root, 'boot');
  await mkdir(boot);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(boot, name)), { recursive: true });
    await writeFile(join(boot, name), text);
  }
}

const entry = (closure: string) =>
  `title NixOS\nlinux /EFI/nixos/kernel.efi\noptions init=${closure}/init root=fstab loglevel=4\n`;
const grub = (closure: string) =>
  `menuentry "NixOS" --class nixos {\nsearch --set=drive1 --fs-uuid x\n  linux ($drive1)/kernels/x-bzImage init=${closure}/init loglevel=4\n  initrd ($drive1)/kernels/x-initrd\n}\n`;

test.each<{ name: string; files: Record<string, string>; closure: string | undefined }>([
  {
    name: 'systemd-boot by file name',
    files: {
      'loader/loader.conf': 'timeout 5\ndefault nixos-generation-2.conf\n',
      'loader/entries/nixos-generation-1.conf': entry(A),
      'loader/entries/nixos-generation-2.conf': entry(B),
    },
    closure: B,
  },
  {
    name: 'systemd-boot with boot counting',
    files: {
      'loader/loader.conf': 'default nixos-abc.conf\n',
      'loader/entries/nixos-abc+2-1.conf': entry(B),
      'loader/entries/nixos-abd+3.conf': entry(A),
    },
    closure: B,
  },
  {
    name: 'systemd-boot by pattern',
    files: {
      'loader/loader.conf': 'default nixos-generation-?.conf\n',
      'loader/entries/nixos-generation-1.conf': entry(A),
      'loader/entries/nixos-generation-2.conf': entry(B),
    },
    closure: B,
  },
  { name: 'systemd-boot whose entry is gone', files: { 'loader/loader.conf': 'default x.conf\n' }, closure: undefined },
  {
    name: 'extlinux',
    files: {
      'extlinux/extlinux.conf': `DEFAULT nixos-default\nLABEL nixos-1\n  APPEND init=${A}/init\nLABEL nixos-default\n  LINUX ../x\n  APPEND init=${B}/init quiet\n`,
    },
    closure: B,
  },
  { name: 'GRUB', files: { 'grub/grub.cfg': `set default=0\nset timeout=5\n${grub(B)}${grub(A)}` }, closure: B },
  {
    name: 'GRUB with another default',
    files: { 'grub/grub.cfg': `set default="saved"\n${grub(B)}` },
    closure: undefined,
  },
  { name: 'no loader', files: {}, closure: undefined },
])('$name', async ({ files, closure }) => {
  await write(files);
  expect(await readBootDefault(pathsUnder(root), undefined)).toEqual(
    closure === undefined ? undefined : { closure, verified: true },
  );
  expect(await readBootDefault(pathsUnder(root), A)).toEqual(
    closure === undefined ? { closure: A, verified: false } : { closure, verified: true },
  );
});

test('links of a machine below a root are read, whichever way they are written', async () => {
  const paths = pathsUnder(root);
  await mkdir(join(root, 'run'), { recursive: true });
  await mkdir(dirname(paths.profile), { recursive: true });
  await symlink(A, paths.currentSystem);
  await symlink('/run/current-system', paths.bootedSystem);
  await symlink('system-1-link', paths.profile);
  await symlink(B, `${paths.profile}-1-link`);
  expect(await observe(paths)).toMatchObject({
    current: A,
    booted: A,
    profile: B,
    bootDefault: { closure: B, verified: false },
  });
});

test('links that lead nowhere are nothing', async () => {
  const paths = pathsUnder(root);
  await mkdir(join(root, 'run'), { recursive: true });
  await symlink('/run/current-system', paths.currentSystem);
  const seen = await observe(paths);
  expect([seen.current, seen.booted, seen.profile, seen.bootDefault]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
