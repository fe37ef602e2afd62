// The images on disk: one OCI layout for all, so that what two images share is written once, and only what a node lacks is handed to it.
import { createHash } from 'node:crypto';
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
  await remember(image, await push(image.ref));
}

/**
 * Takes an image that was built from nothing, and stores it as if it had been built from `base`: the layers of both, the configuration of
 * the upper one. buildah would write all the layers of the base each time.
 */
export async function storeOver(image: Image, base: Image): Promise<void> {
  const lower = await read(await noted(base));
  const upper = await read(await push(image.ref));
  const config = {
    ...upper.config,
    config: { ...upper.config.config, Env: [...(lower.config.config.Env ?? []), ...(upper.config.config.Env ?? [])] },
    rootfs: { type: 'layers', diff_ids: [...lower.config.rootfs.diff_ids, ...upper.config.rootfs.diff_ids] },
    history: [],
  };
  const layers = [...lower.manifest.layers, ...upper.manifest.layers];
  const manifest = { ...upper.manifest, config: await write(upper.manifest.config.mediaType, config), layers };
  await remember(image, await write('application/vnd.oci.image.manifest.v1+json', manifest));
}

async function push(ref: string): Promise<Descriptor> {
  const tag = ref.replaceAll(/[^a-z0-9.-]/g, '_');
  await mkdir(cached('images'), { recursive: true });
  await run(['buildah', 'push', '-q', '--disable-compression', ref, `oci:${layout()}:${tag}`], { timeoutSeconds: 300 });
  const index = JSON.parse(await readFile(join(layout(), 'index.json'), 'utf8')) as {
    manifests: readonly (Descriptor & { annotations?: Record<string, string> })[];
  };
  const found = index.manifests.find((one) => one.annotations?.['org.opencontainers.image.ref.name'] === tag);
  if (!found) throw new Error(`buildah did not leave ${ref} in ${layout()}`);
  return found;
}

async function remember(image: Image, { mediaType, digest, size }: Descriptor): Promise<void> {
  await mkdir(cached('images', 'made'), { recursive: true });
  await writeFile(`${noteOf(image)}.part`, JSON.stringify({ mediaType, digest, size }));
  await rename(`${noteOf(image)}.part`, noteOf(image));
}

async function noted(image: Image): Promise<Descriptor> {
  return JSON.parse(await readFile(noteOf(image), 'utf8')) as Descriptor;
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface Config {
  readonly config: { readonly Env?: readonly string[] };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

async function read(descriptor: Descriptor): Promise<{ readonly manifest: Manifest; readonly config: Config }> {
  const manifest = JSON.parse(await readFile(join(layout(), blob(descriptor.digest)), 'utf8')) as Manifest;
  const config = JSON.parse(await readFile(join(layout(), blob(manifest.config.digest)), 'utf8')) as Config;
  return { manifest, config };
}

async function write(mediaType: string, value: unknown): Promise<Descriptor> {
  const text = JSON.stringify(value);
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  await writeFile(join(layout(), blob(digest)), text);
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

/** Forgets every image, for when what all are made from has changed. */
export async function forgetAll(): Promise<void> {
  await rm(cached('images', 'made'), { recursive: true, force: true });
  await rm(layout(), { recursive: true, force: true });
}

/** Writes an archive for `ctr images import` with all that is not in `present` (digests). */
export async function archive(image: Image, present: ReadonlySet<string>, file: string): Promise<void> {
  const descriptor = await noted(image);
  const { manifest } = await read(descriptor);
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
