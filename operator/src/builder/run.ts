// Runs one container of a build Job and turns every end into an exit code and last words.
import { readFile, writeFile } from 'node:fs/promises';
import type { BuildProgress, BuildRequest } from '@floe/crds/build';
import { parseBuildRequest } from '@floe/crds/parse';
import { runBuild } from './build.ts';
import { BuildFailure, buildErrorOf, terminationMessage } from './failure.ts';
import { type ContainerContext, runFetch } from './fetch.ts';
import { BUILDER_PATHS, type BuilderPaths } from './paths.ts';
import { Progress } from './progress.ts';
import { runPush } from './push.ts';
import { makeScratch } from './scratch.ts';

/** The containers, in the order in which they run. */
export const BUILDER_VERBS = ['fetch', 'build', 'push'] as const;
export type BuilderVerb = (typeof BUILDER_VERBS)[number];

export type BuilderOptions = {
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Takes a line for standard output. */
  readonly write: (line: string) => void;
  /** Default: where the Job mounts things. */
  readonly paths?: BuilderPaths;
};

const PHASES: Readonly<Record<BuilderVerb, BuildProgress['phase']>> = {
  fetch: 'Fetching',
  build: 'Evaluating',
  push: 'Pushing',
};
const CONTAINERS: Readonly<Record<BuilderVerb, (context: ContainerContext) => Promise<void>>> = {
  fetch: runFetch,
  build: runBuild,
  push: runPush,
};

/** Whether the text names a container. */
export function isBuilderVerb(text: string | undefined): text is BuilderVerb {
  return BUILDER_VERBS.some((verb) => verb === text);
}

async function readRequest(file: string): Promise<BuildRequest> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new BuildFailure(
      `the request ${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        remedy: 'operator and image of the Job must be of one version',
        cause,
      },
    );
  }
  const parsed = parseBuildRequest(value);
  if (parsed.ok) return parsed.value;
  throw new BuildFailure(`the request is not understood: ${parsed.field}: ${parsed.message}`, {
    remedy: 'operator and image of the Job must be of one version',
  });
}

/** The exit code after SIGTERM, by which the operator tells an end from outside from a failure. */
const STOPPED = 143;

/** Runs a container to its end. Never throws. @returns its exit code */
export async function runBuilder(verb: BuilderVerb, options: BuilderOptions): Promise<number> {
  const paths = options.paths ?? BUILDER_PATHS;
  const output = { write: options.write, now: () => performance.now() };
  const scratch = await makeScratch();
  try {
    const request = await readRequest(paths.request);
    await CONTAINERS[verb]({
      request,
      paths,
      scratch,
      output,
      progress: new Progress(PHASES[verb], output),
      env: options.env,
      signal: options.signal,
    });
    return 0;
  } catch (error) {
    const said = options.signal.aborted
      ? new BuildFailure(`${verb} was told to stop, since its pod was deleted or its node drained`, {
          remedy: 'the operator starts another Job if it is needed',
        })
      : error;
    const { error: what, field, remedy } = buildErrorOf(said);
    options.write(
      `${verb} failed: ${what}${field === undefined ? '' : ` (${field})`}${remedy === undefined ? '' : `. ${remedy}`}`,
    );
    if (!(said instanceof BuildFailure) && said instanceof Error && said.stack !== undefined) options.write(said.stack);
    // Outside a pod there is no such file, and the words stand in the log.
    await writeFile(paths.terminationLog, terminationMessage(said)).catch(() => undefined);
    return options.signal.aborted ? STOPPED : 1;
  } finally {
    await scratch.remove();
  }
}
