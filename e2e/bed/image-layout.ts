// The images on disk: one OCI layout for all, so that what two images share is written once, and only what a node lacks is handed to it.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './paths.ts';
import { run } from './run.ts';

export interface Image {
  /** By which a pod names it. */
  readonly ref: string;
  /** Of its contents. */
  readonly key: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const layout = (): string => cached('images', 'layout');
const noteOf = (image: Image): string =>
  cached('images', 'made', `${image.ref.replaceAll(/[^a-z0-9.-]/g, '_')}@${image.key}.json`);

/** Whether this version of the image was stored before. */
export function isStored(image: Image): boolean {
  return existsSync(noteOf(image));
}

/** Takes the image from buildah's storage. One at a time: the caller holds a lock. */
export async function store(image: Image): Promise<void> {
  await mkdir(cached('images', 'made'), { recursive: true });
  const tag = image.ref.replaceAll(/[^a-z0-9.-]/g, '_');
  // Uncompressed: a layer has the same digest each time, and what is there already is not written again.
  await run(['buildah', 'push', '-q', '--disable-compression', image.ref, `oci:${layout()}:${tag}`], {
    timeoutSeconds: 300,
  });
  const index = JSON.parse(await readFile(join(layout(), 'index.json'), 'utf8')) as {
    manifests: readonly (Descriptor & { annotations?: Record<string, string> })[];
  };
  const manifest = index.manifests.find((one) => one.annotations?.['org.opencontainers.image.ref.name'] === tag);
  if (!manifest) throw new Error(`buildah did not leave ${image.ref} in ${layout()}`);
  await writeFile(`${noteOf(image)}.part`, JSON.stringify(manifest));
  await rename(`${noteOf(image)}.part`, noteOf(image));
}

/** Forgets every image, for when what all are made from has changed. */
export async function forgetAll(): Promise<void> {
  await rm(cached('images', 'made'), { recursive: true, force: true });
  await rm(layout(), { recursive: true, force: true });
}

/** Writes an archive for `ctr images import` with all that is not in `present` (digests). */
export async function archive(image: Image, present: ReadonlySet<string>, file: string): Promise<void> {
  const descriptor = JSON.parse(await readFile(noteOf(image), 'utf8')) as Descriptor;
  const manifest = JSON.parse(await readFile(join(layout(), blob(descriptor.digest)), 'utf8')) as {
    config: Descriptor;
    layers: readonly Descriptor[];
  };
  const wanted = [descriptor, manifest.config, ...manifest.layers]
    .map((one) => one.digest)
    .filter((digest) => !present.has(digest));
  const folder = await mkdtemp(cached('images', 'archive-'));
  try {
    const annotations = { 'io.containerd.image.name': image.ref };
    const { mediaType, digest, size } = descriptor;
    await writeFile(
      join(folder, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations }] }),
    );
    await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await symlink(join(layout(), 'blobs'), join(folder, 'blobs'));
    await run(
      ['tar', '-C', folder, '--dereference', '-cf', file, 'oci-layout', 'index.json', ...new Set(wanted.map(blob))],
      {
        timeoutSeconds: 300,
      },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function blob(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}
