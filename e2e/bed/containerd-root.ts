// What containerd keeps between two runs of a cluster: the images, and no container that ran with them.
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Image } from './image-layout.ts';

const metadata = 'io.containerd.metadata.v1.bolt/meta.db';
const snapshotter = 'io.containerd.snapshotter.v1.overlayfs';
const content = 'io.containerd.content.v1.content/blobs/sha256';

interface Memory {
  readonly snapshots: readonly string[];
  /** Digests without their algorithm. */
  readonly blobs: readonly string[];
  readonly images: readonly string[];
}

export class ContainerdRoot {
  readonly #root: string;
  readonly #clean: string;

  constructor(dir: string) {
    this.#root = join(dir, 'containerd');
    this.#clean = join(dir, 'containerd-clean');
  }

  /** With containerd stopped: back to what {@link remember} saw, so that a cluster starts with its images and without old pods. */
  async reset(): Promise<void> {
    const memory = await this.#remembered();
    if (!memory) {
      await rm(this.#root, { recursive: true, force: true });
      await rm(this.#clean, { recursive: true, force: true });
      return;
    }
    for (const entry of await readdir(this.#root)) {
      if (entry === 'io.containerd.grpc.v1.cri' || entry.startsWith('io.containerd.runtime')) {
        await rm(join(this.#root, entry), { recursive: true, force: true });
      }
    }
    for (const id of await readdir(join(this.#root, snapshotter, 'snapshots'))) {
      if (!memory.snapshots.includes(id)) {
        await rm(join(this.#root, snapshotter, 'snapshots', id), { recursive: true, force: true });
      }
    }
    // A blob that the restored database does not know would be taken for missing, and for present.
    for (const digest of await readdir(join(this.#root, content))) {
      if (!memory.blobs.includes(digest)) await rm(join(this.#root, content, digest), { force: true });
    }
    await cp(join(this.#clean, 'meta.db'), join(this.#root, metadata));
    await cp(join(this.#clean, 'metadata.db'), join(this.#root, snapshotter, 'metadata.db'));
  }

  /** With containerd stopped, images loaded and no container made yet: this is what {@link reset} comes back to. */
  async remember(images: readonly Image[]): Promise<void> {
    await rm(this.#clean, { recursive: true, force: true });
    await mkdir(this.#clean, { recursive: true });
    await cp(join(this.#root, metadata), join(this.#clean, 'meta.db'));
    await cp(join(this.#root, snapshotter, 'metadata.db'), join(this.#clean, 'metadata.db'));
    const snapshots = await readdir(join(this.#root, snapshotter, 'snapshots'));
    const memory: Memory = {
      snapshots,
      blobs: await readdir(join(this.#root, content)),
      images: images.map(({ ref, key }) => `${ref}@${key}`),
    };
    // Written last: without it there is nothing to come back to.
    await writeFile(join(this.#clean, 'memory.json'), JSON.stringify(memory));
  }

  /** Which of these are not there in this version. */
  async missing(images: readonly Image[]): Promise<readonly Image[]> {
    const known = (await this.#remembered())?.images ?? [];
    return images.filter(({ ref, key }) => !known.includes(`${ref}@${key}`));
  }

  async #remembered(): Promise<Memory | undefined> {
    if (!existsSync(join(this.#root, metadata))) return undefined;
    const text = await readFile(join(this.#clean, 'memory.json'), 'utf8').catch(() => undefined);
    const memory = text === undefined ? undefined : (JSON.parse(text) as Partial<Memory>);
    const { snapshots, blobs, images } = memory ?? {};
    return snapshots && blobs && images ? { snapshots, blobs, images } : undefined; // of an older checkout: start anew
  }
}
