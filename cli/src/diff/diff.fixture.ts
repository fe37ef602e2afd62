// A binary cache in a folder for tests: store paths from texts, packed as Nix packs them.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { narinfoHash } from '@floe/crds/nix-fingerprint';

/** Text of a file, `-> TARGET` of a link, or a folder. */
export type Files = string | { readonly [name: string]: Files };

/** Packs files as a NAR. */
export function packNar(files: Files): Buffer {
  const parts: Buffer[] = [];
  const say = (text: string | Buffer): void => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    parts.push(length, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8));
  };
  const words = (...list: string[]): void => {
    for (const word of list) say(word);
  };
  const folder = (entries: { readonly [name: string]: Files }): void => {
    words('(', 'type', 'directory');
    for (const name of Object.keys(entries).sort()) {
      words('entry', '(', 'name', name, 'node');
      pack(entries[name] ?? '');
      words(')');
    }
    words(')');
  };
  const pack = (node: Files): void => {
    if (typeof node !== 'string') folder(node);
    else if (node.startsWith('-> ')) words('(', 'type', 'symlink', 'target', node.slice(3), ')');
    else words('(', 'type', 'regular', 'contents', node, ')');
  };
  say('nix-archive-1');
  pack(files);
  return Buffer.concat(parts);
}

/** `/nix/store/<32 characters>-<name>`, the same for the same name and version. */
export function storePath(name: string): string {
  const digits = createHash('sha256').update(name).digest('hex').slice(0, 32).replace(/e/g, 'x');
  return `/nix/store/${digits}-${name.replace(/#.*$/s, '')}`;
}

export class TestCache {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  get url(): string {
    return `file://${this.folder}`;
  }

  /** Adds a path. What follows `#` in a name makes another path of the same name. */
  async add(name: string, files: Files, references: readonly string[] = [], compression = 'zstd'): Promise<string> {
    const path = storePath(name);
    const nar = packNar(files);
    const packed = compression === 'zstd' ? zstdCompressSync(nar) : nar;
    const hash = narinfoHash(`sha256-${createHash('sha256').update(nar).digest('base64')}`);
    const url = `nar/${path.slice(11, 43)}.nar`;
    await mkdir(join(this.folder, 'nar'), { recursive: true });
    await writeFile(join(this.folder, url), packed);
    const lines = [
      `StorePath: ${path}`,
      `URL: ${url}`,
      `Compression: ${compression}`,
      `FileSize: ${packed.length}`,
      `NarHash: ${hash}`,
      `NarSize: ${nar.length}`,
      `References: ${references.map((reference) => reference.slice(11)).join(' ')}`,
    ];
    await writeFile(join(this.folder, `${path.slice(11, 43)}.narinfo`), `${lines.join('\n')}\n`);
    return path;
  }
}

const service = (exec: string, more = ''): string => `[Unit]\nDescription=x\n${more}[Service]\nExecStart=${exec}\n`;

/** A NixOS system of a kernel and units; `units` are texts by name. */
export async function addSystem(
  cache: TestCache,
  id: string,
  { kernel, packages, units }: { kernel: string; packages: readonly string[]; units: Readonly<Record<string, string>> },
): Promise<string> {
  const unitPaths = await Promise.all(
    Object.entries(units).map(
      async ([name, text]) => [name, await cache.add(`unit-${name}#${text}`, { [name]: text })] as const,
    ),
  );
  const wants = Object.fromEntries(unitPaths.map(([name]) => [name, `-> ../${name}`]));
  const links = Object.fromEntries(unitPaths.map(([name, path]) => [name, `-> ${path}/${name}`]));
  const systemUnits = await cache.add(
    `system-units#${id}`,
    { ...links, 'multi-user.target.wants': wants },
    unitPaths.map(([, path]) => path),
  );
  const etc = await cache.add(`etc#${id}`, { etc: { systemd: { system: `-> ${systemUnits}` } } }, [systemUnits]);
  const paths = await Promise.all(packages.map((name) => cache.add(name, `content of ${name}`)));
  const linux = await cache.add(kernel, { bzImage: kernel });
  return cache.add(
    `nixos-system-web-26.05#${id}`,
    { etc: `-> ${etc}/etc`, kernel: `-> ${linux}/bzImage`, initrd: `-> ${linux}/bzImage`, 'kernel-params': 'quiet' },
    [etc, linux, ...paths],
  );
}

/** Two systems: another nginx and kernel, one unit changed, one reloaded, one described anew, one gone, one new. */
export async function addTwoSystems(cache: TestCache): Promise<{ before: string; after: string }> {
  const before = await addSystem(cache, 'old', {
    kernel: 'linux-6.12.1',
    packages: ['nginx-1.28.0', 'hello-2.12', 'config'],
    units: {
      'nginx.service': service('/nginx-1.28.0'),
      'hello.service': service('/hello'),
      'reloads.service': `${service('/r')}ExecReload=/a\n`,
      'kept.service': `${service('/k')}X-RestartIfChanged=false\n`,
      'gone.service': service('/gone'),
    },
  });
  const after = await addSystem(cache, 'new', {
    kernel: 'linux-6.12.9',
    packages: ['nginx-1.29.1', 'hello-2.12', 'jq-1.8'],
    units: {
      'nginx.service': service('/nginx-1.29.1'),
      'hello.service': service('/hello').replace('Description=x', 'Description=better'),
      'reloads.service': `${service('/r')}ExecReload=/b\n`,
      'kept.service': `${service('/k2')}X-RestartIfChanged=false\n`,
      'new.service': service('/new'),
    },
  });
  return { before, after };
}
