// What the next boot starts, read from the boot loader's own files where they can be read.
import { readdir, readFile } from 'node:fs/promises';
import { join, matchesGlob } from 'node:path';
import { closureOf } from './store-link.ts';

export type BootDefault = { readonly closure: string; readonly verified: boolean };

/** The closure in a kernel command line: the folder of its `init=`. */
function closureOfOptions(text: string): string | undefined {
  return closureOf(/(?:^|\s)init=(\S+)/m.exec(text)?.[1] ?? '');
}

async function text(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

/** systemd-boot: the entry that `default` in loader.conf names, which may be a pattern. */
async function fromLoaderEntries(boot: string): Promise<string | undefined> {
  const pattern = /^default\s+(\S+)/m.exec((await text(join(boot, 'loader/loader.conf'))) ?? '')?.[1];
  if (pattern === undefined) return undefined;
  const names = (await readdir(join(boot, 'loader/entries')).catch(() => [])).filter((name) => name.endsWith('.conf'));
  // Boot counting adds `+3` or `+2-1` to the name of a file; the default is written without.
  const plain = (name: string) => name.replace(/\+\d+(-\d+)?(?=\.conf$)/, '');
  const matching = names.filter((name) =>
    [name, plain(name)].some((one) => one === pattern || one === `${pattern}.conf` || matchesGlob(one, pattern)),
  );
  const [entry] = matching.sort().reverse();
  if (entry === undefined) return undefined;
  const options = (await text(join(boot, 'loader/entries', entry)))?.match(/^options\s+.*$/gm)?.join('\n');
  return closureOfOptions(options ?? '');
}

/** extlinux: the label that DEFAULT names. */
async function fromExtlinux(boot: string): Promise<string | undefined> {
  const config = await text(join(boot, 'extlinux/extlinux.conf'));
  const label = /^DEFAULT\s+(\S+)/m.exec(config ?? '')?.[1];
  if (config === undefined || label === undefined) return undefined;
  const section = config.split(/^LABEL\s+/m).find((part) => part.split(/\s/, 1)[0] === label);
  return closureOfOptions(section?.match(/^\s*APPEND\s.*$/m)?.[0] ?? '');
}

/** GRUB: the first entry, which is what NixOS makes the default. */
async function fromGrub(boot: string): Promise<string | undefined> {
  const config = await text(join(boot, 'grub/grub.cfg'));
  if (config === undefined || !/^set default=("?)0\1\s*$/m.test(config)) return undefined;
  const first = /^menuentry\b[^\n]*\{([\s\S]*?)^\}/m.exec(config)?.[1];
  return closureOfOptions(first?.match(/^\s*linux\S*\s.*$/m)?.[0] ?? '');
}

/** What the boot loader starts by default; undefined where no loader known here says so. */
export async function readBootLoader(boot: string): Promise<string | undefined> {
  return (await fromLoaderEntries(boot)) ?? (await fromExtlinux(boot)) ?? (await fromGrub(boot));
}

/** What the next boot starts: from the loader, else concluded from the system profile. */
export async function readBootDefault(boot: string, profile: string | undefined): Promise<BootDefault | undefined> {
  const closure = await readBootLoader(boot);
  if (closure !== undefined) return { closure, verified: true };
  return profile === undefined ? undefined : { closure: profile, verified: false };
}
