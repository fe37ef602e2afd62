// A host without loop mounts: it is said why, and the machine stays as it was.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LoopDisk } from './loop-disk.ts';

test('where nothing can be mounted no disk is made, and the reason is what mount said', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'loop-disk-'));
  const bin = join(dir, 'bin');
  const program = (name: string, script: string) =>
    writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  try {
    await mkdir(bin);
    await program('mkfs.ext4', 'exit 0');
    await program('mount', 'echo "mount: failed to set up loop device" >&2; exit 32');
    const enter = async (_: unknown, command: readonly string[]) => ['env', `PATH=${bin}:/usr/bin:/bin`, ...command];
    const disk = new LoopDisk({ dir, enclosure: { enter } });
    expect(await disk.make()).toBe('mount: failed to set up loop device');
    expect(disk.exists).toBe(false);
    expect(existsSync(join(dir, 'disk.img.new'))).toBe(false);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
