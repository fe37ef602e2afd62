// Which parts of a closure need a reboot, and which forbid a switch: read from files as NixOS writes them.
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { inhibitors } from './inhibitors.ts';
import { rebootReasons } from './reboot-reasons.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'floe-closures-'));
});
afterEach(() => rm(folder, { recursive: true }));

type Parts = { readonly files?: Record<string, string>; readonly links?: Record<string, string> };

async function closure(name: string, { files = {}, links = {} }: Parts): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content);
  for (const [link, target] of Object.entries(links)) {
    await mkdir(join(folder, target), { recursive: true });
    await symlink(join(folder, target), join(path, link));
  }
  return path;
}

test.each<{ name: string; old: Parts; wanted: Parts; reasons: string[] }>([
  { name: 'nothing differs', old: { links: { kernel: 'k1' } }, wanted: { links: { kernel: 'k1' } }, reasons: [] },
  {
    name: 'kernel and its parameters',
    old: { links: { kernel: 'k1', initrd: 'i' }, files: { 'kernel-params': 'quiet' } },
    wanted: { links: { kernel: 'k2', initrd: 'i' }, files: { 'kernel-params': 'loud' } },
    reasons: ['kernel', 'kernel-params'],
  },
  { name: 'a part that one of them lacks', old: { links: { initrd: 'i1' } }, wanted: {}, reasons: [] },
  {
    name: "files of the closures' own",
    old: { files: { kernel: 'same', initrd: 'one' } },
    wanted: { files: { kernel: 'same', initrd: 'other' } },
    reasons: ['initrd'],
  },
  {
    name: 'reboot-triggers of both count alone, on keys that both have',
    old: { files: { 'reboot-triggers': '{"kernel":"1","firmware":"1","gone":"1"}' }, links: { initrd: 'i1' } },
    wanted: { files: { 'reboot-triggers': '{"kernel":"1","firmware":"2","new":"1"}' }, links: { initrd: 'i2' } },
    reasons: ['firmware'],
  },
  {
    name: 'reboot-triggers that only one of them has',
    old: { links: { kernel: 'k1' } },
    wanted: { files: { 'reboot-triggers': '{"kernel":"2"}' }, links: { kernel: 'k2' } },
    reasons: ['kernel'],
  },
  {
    name: 'reboot-triggers that are no JSON',
    old: { files: { 'reboot-triggers': '/nix/store/a\n' }, links: { kernel: 'k1' } },
    wanted: { files: { 'reboot-triggers': '/nix/store/b\n' }, links: { kernel: 'k1' } },
    reasons: [],
  },
  {
    name: 'an interface that switch-to-configuration does not cross',
    old: { files: { 'init-interface-version': 'systemd 2', 'reboot-triggers': '{}' } },
    wanted: { files: { 'init-interface-version': 'systemd 3', 'reboot-triggers': '{}' } },
    reasons: ['init-interface-version'],
  },
])('a reboot is needed for: $name', async ({ old, wanted, reasons }) => {
  expect(await rebootReasons(await closure('old', old), await closure('new', wanted))).toEqual(reasons);
});

test.each<{ name: string; old: string | undefined; wanted: string | undefined; keys: string[] }>([
  { name: 'a key with another value', old: '{"dbus":"a","x":"1"}', wanted: '{"dbus":"b","x":"1"}', keys: ['dbus'] },
  { name: 'keys that only one of them has', old: '{"dbus":"a"}', wanted: '{"x":"b"}', keys: [] },
  { name: 'no file', old: undefined, wanted: '{"dbus":"b"}', keys: [] },
  { name: 'a plain list, as it was at first', old: '["/nix/store/a"]', wanted: '["/nix/store/b"]', keys: [] },
  { name: 'no JSON', old: '/nix/store/a\n', wanted: '{"dbus":"b"}', keys: [] },
])('switch-inhibitors: $name', async ({ old, wanted, keys }) => {
  const files = (content: string | undefined): Parts =>
    content === undefined ? {} : { files: { 'switch-inhibitors': content } };
  expect(await inhibitors(await closure('old', files(old)), await closure('new', files(wanted)))).toEqual(keys);
});
