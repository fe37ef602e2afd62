// The images that clusters run: made with buildah from the Debian tree, so that nothing is pulled.
import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Artefacts, artefacts, nodeBinary } from './artefacts.ts';
import { contentKey } from './content-key.ts';
import { pauseImage } from './control-plane.ts';
import { withHostLock } from './host-lock.ts';
import { forgetAll, type Image, isStored, store, storeOver } from './image-layout.ts';
import { cached, projectDir } from './paths.ts';
import { type OnProgress, step } from './progress.ts';
import { run, tryRun } from './run.ts';

interface MakeOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** The name by which Dockerfiles know the Debian tree. */
const debian = 'docker.io/library/debian:trixie-slim';
const dockerfile = join(projectDir, 'images', 'floe', 'Dockerfile');

/** Makes the Debian image and the layers of `floe` that do not change with the program. About 25 s, once. */
export async function ensureBaseImages(made: Artefacts, options: MakeOptions = {}): Promise<void> {
  const key = await baseKey(made);
  const base = baseOf(key);
  if (isStored(base)) return;
  const what = 'image of the operator without its program: Debian, Nix, git, Node (about 25 s)';
  await step(options.onProgress, 'base image', what, async (say) => {
    await forgetAll();
    await importDebian(made.trixie);
    await build({ target: 'base', ref: base.ref, files: { node: nodeBinary }, say, ...signalOf(options) });
    await store(base);
    // From here on they are in the layout alone.
    await tryRun(['buildah', 'rmi', base.ref, debian]);
  });
}

/** The image `floe` with that bundle as `/app/floe.mjs`; `ensureHost` must have been called. About 3 s where the bundle is new. */
export async function floeImage(program: string, options: MakeOptions = {}): Promise<Image> {
  const base = await baseKey(await artefacts());
  const key = await contentKey([program], base);
  const image: Image = { ref: `localhost/floe:${key}`, key };
  return made(image, () =>
    step(options.onProgress, 'image', `image of the operator, ${image.ref}`, async (say) => {
      await build({
        target: 'floe',
        ref: image.ref,
        files: { 'floe.mjs': program },
        base: 'scratch',
        say,
        ...signalOf(options),
      });
      await storeOver(image, baseOf(base));
    }),
  );
}

/** The image of the first container of each pod, which only waits. */
export async function pauseImageOf(): Promise<Image> {
  const image: Image = { ref: pauseImage, key: await contentKey(['/bin/busybox']) };
  return made(image, () =>
    inContext({ busybox: '/bin/busybox' }, async (context) => {
      const text = 'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox","sleep","1000000000"]\n';
      await writeFile(join(context, 'Dockerfile'), text);
      await run(['buildah', 'bud', '-q', '--isolation', 'chroot', '--format', 'oci', '-t', pauseImage, context]);
      await store(image);
    }),
  );
}

/** Makes the image unless this version of it was made before. */
async function made(image: Image, make: () => Promise<void>): Promise<Image> {
  if (isStored(image)) return image;
  return withHostLock(cached('images.lock'), async () => {
    if (isStored(image)) return image;
    await make();
    await tryRun(['buildah', 'rmi', image.ref]);
    return image;
  });
}

function signalOf(options: MakeOptions): { readonly signal?: AbortSignal } {
  return options.signal ? { signal: options.signal } : {};
}

async function baseKey(made: Artefacts): Promise<string> {
  const node = join(dirname(dirname(nodeBinary)), 'package.json');
  return contentKey([dockerfile, join(projectDir, 'images', 'floe', 'nix.conf'), node], made.trixie);
}

function baseOf(key: string): Image {
  return { ref: `localhost/floe-base:${key}`, key };
}

async function importDebian(tree: string): Promise<void> {
  const container = (await run(['buildah', 'from', 'scratch'])).trim();
  try {
    await run(['buildah', 'add', '-q', container, tree, '/'], { timeoutSeconds: 600 });
    await run([
      'buildah',
      'config',
      '--cmd',
      '["bash"]',
      '--env',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      container,
    ]);
    await run(['buildah', 'commit', '-q', container, debian], { timeoutSeconds: 600 });
  } finally {
    await tryRun(['buildah', 'rm', container]);
  }
}

interface Build {
  readonly target: string;
  readonly ref: string;
  /** Name in the context -> file on the host. */
  readonly files: Readonly<Record<string, string>>;
  readonly base?: string;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal;
}

async function build({ target, ref, files, base, say, signal }: Build): Promise<void> {
  const nix = join(projectDir, 'images', 'floe', 'nix.conf');
  await inContext({ ...files, 'nix.conf': nix, Dockerfile: dockerfile }, async (context) => {
    // Clusters of the test bed have no way out: asking the public cache costs seconds each time.
    await appendFile(join(context, 'nix.conf'), 'substituters =\n');
    await run(
      [
        'buildah',
        'bud',
        '--isolation',
        'chroot',
        '--pull-never',
        '--format',
        'oci',
        '--target',
        target,
        ...(base ? ['--build-arg', `BASE=${base}`] : []),
        '-t',
        ref,
        context,
      ],
      { timeoutSeconds: 900, onLine: say, ...(signal ? { signal } : {}) },
    );
  });
}

async function inContext(
  files: Readonly<Record<string, string>>,
  work: (context: string) => Promise<void>,
): Promise<void> {
  await mkdir(cached('images'), { recursive: true });
  const context = await mkdtemp(cached('images', 'context-'));
  try {
    for (const [name, from] of Object.entries(files)) await cp(from, join(context, name), { dereference: true });
    await work(context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
