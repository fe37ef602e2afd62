// The disk of one machine as a file system of its own, an ext4 in a file, which a power cut takes away with all that was not synced.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Enclosure } from './enclosure.ts';
import { run, tryRun } from './run.ts';

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing more reaches the disk, not even the journal. */
const SHUT = `open(my $folder, '<', $ARGV[0]) or die "$ARGV[0]: $!\\n";
  my $flags = pack('L', 2);
  ioctl($folder, 0x8004587d, $flags) or die "ext4 shutdown: $!\\n";`;

const MAKE = `cd "$0"
  truncate -s 4G disk.img.new
  mkfs.ext4 -q -F -J size=16 -E lazy_itable_init=1,lazy_journal_init=1 disk.img.new
  mkdir -p disk
  mount -o loop disk.img.new disk`;

interface LoopDiskOptions {
  /** The machine's folder. */
  readonly dir: string;
  readonly enclosure: Pick<Enclosure, 'enter'>;
}

export class LoopDisk {
  readonly #dir: string;
  readonly #enclosure: Pick<Enclosure, 'enter'>;

  constructor(options: LoopDiskOptions) {
    this.#dir = options.dir;
    this.#enclosure = options.enclosure;
  }

  /** Whether the machine has one. */
  get exists(): boolean {
    return existsSync(join(this.#dir, 'disk.img'));
  }

  /** Moves what the machine has written into a new one; the machine is off. Returns why that can't be done here. */
  async make(): Promise<string | undefined> {
    if (this.exists) return undefined;
    const made = await tryRun(await this.#inside(MAKE));
    if (made.code !== 0) {
      await this.#sh('cd "$0"; rm -f disk.img.new');
      return made.stderr.trim().split('\n').at(-1) ?? `exit code ${made.code}`;
    }
    await this.#sh(`cd "$0"
      if mountpoint -q root; then umount root; fi
      cp -a upper disk/upper
      mkdir disk/work
      touch disk/upper/etc/floe-own-disk
      sync -f disk
      mv disk.img.new disk.img`);
    return undefined;
  }

  /** Makes its files reachable. */
  async mount(): Promise<void> {
    await this.#sh('cd "$0"; mountpoint -q disk || mount -o loop disk.img disk');
  }

  /** The power is off: what was not synced is lost. The machine stands still. */
  async shut(): Promise<void> {
    await run(await this.#enclosure.enter('all', ['perl', '-we', SHUT, join(this.#dir, 'disk')]));
  }

  /** The power is on again: its journal is replayed. The machine is off. */
  async recover(): Promise<void> {
    await this.#sh(`cd "$0"
      if mountpoint -q root; then umount root; fi
      umount disk
      e2fsck -p disk.img > /dev/null || [ $? -le 1 ]
      mount -o loop disk.img disk`);
  }

  /** Moves everything back to where machines have it otherwise. The machine is off. */
  async remove(): Promise<void> {
    if (!this.exists) return;
    await this.mount();
    await this.#sh(`cd "$0"
      if mountpoint -q root; then umount root; fi
      rm -rf upper.new
      cp -a disk/upper upper.new
      rm -rf upper work upper.new/etc/floe-own-disk
      mv upper.new upper
      mkdir work
      umount disk
      rm -rf disk disk.img`);
  }

  async #sh(script: string): Promise<void> {
    await run(await this.#inside(script));
  }

  #inside(script: string): Promise<string[]> {
    return this.#enclosure.enter('all', ['sh', '-euc', script, this.#dir]);
  }
}
