// The two images of the demo in kind, built by Docker from images/: the operator's and the machines'.
import { appendFile, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeBinary } from '../bed/artefacts.ts';
import { contentKey } from '../bed/content-key.ts';
import { cached, projectDir, recipe } from '../bed/paths.ts';
import { type OnProgress, step } from '../bed/progress.ts';
import { run } from '../bed/run.ts';
import { buildImage } from './docker.ts';

/** References of the images. */
export interface KindImages {
  readonly operator: string;
  readonly machine: string;
}

export async function kindImages(onProgress: OnProgress | undefined): Promise<KindImages> {
  const floe = ['Dockerfile', 'nix.conf'].map((name) => join(projectDir, 'images/floe', name));
  const machine = ['Dockerfile', 'floe-start', 'floe-install'].map((name) => join(projectDir, 'images/machine', name));
  const make = (what: string, files: readonly string[]): Promise<string> =>
    step(onProgress, `image ${what}`, `image of the ${what}: docker build`, (say) => made(what, files, say));
  return {
    operator: await make('operator', [...floe, join(projectDir, 'dist/floe.mjs')]),
    machine: await make('machine', [...machine, recipe('machine', 'stage-2')]),
  };
}

/** Docker keeps what it built: an unchanged context costs a second. */
async function made(what: string, files: readonly string[], say: (line: string) => void): Promise<string> {
  const ref = `localhost/floe-${what}:${await contentKey(files)}`;
  await mkdir(cached('kind'), { recursive: true });
  const context = await mkdtemp(cached('kind', 'context-'));
  try {
    for (const file of files) await cp(file, join(context, file.slice(file.lastIndexOf('/') + 1)));
    await cp(nodeBinary, join(context, 'node'), { dereference: true });
    // The demo's fleet needs nothing from the public cache, which would be asked for each path.
    if (what === 'operator') await appendFile(join(context, 'nix.conf'), 'substituters =\n');
    await run(buildImage(ref, context), { timeoutSeconds: 1800, onLine: say });
    return ref;
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}
