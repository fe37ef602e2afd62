// The first container: fetches the source, locks all inputs and archives them, so that `build` needs no credential.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildRequest } from '@floe/crds/build';
import { parseJson } from '@floe/crds/json';
import { isStorePath } from '@floe/crds/nix-fingerprint';
import { withoutSecrets } from '../nix/error-words.ts';
import { type FetchCause, fetchWords } from '../nix/fetch-words.ts';
import { lockFault } from '../nix/flake-lock.ts';
import { flakeUrl, isSourceAttributes, type SourceAttributes } from '../nix/flake-url.ts';
import { localInput } from '../nix/local-input.ts';
import { isLocalReference } from '../nix/local-reference.ts';
import { sourceLock } from '../nix/source-lock.ts';
import { needAttributeNames } from './attribute.ts';
import { fetchCredentials, readSecret } from './credentials.ts';
import { BuildFailure } from './failure.ts';
import { writeInline } from './inline.ts';
import { needKnownCache } from './known-cache.ts';
import { keptLock, readLock, writeLock } from './lock.ts';
import { errorText, type Nix, openNix } from './nix.ts';
import type { BuilderPaths } from './paths.ts';
import type { Progress, ProgressPorts } from './progress.ts';
import type { Scratch } from './scratch.ts';
import { writeWork } from './volume.ts';
import { writeWrapper } from './wrapper.ts';

/** What every container works with. */
export type ContainerContext = {
  readonly request: BuildRequest;
  readonly paths: BuilderPaths;
  readonly scratch: Scratch;
  readonly progress: Progress;
  /** Where lines of further phases go. */
  readonly output: ProgressPorts;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
};

/** Large repositories over slow lines take their time; the Job's own limit is usually shorter. */
const FETCH_SECONDS = 3600;
/** A large repository takes a quarter of it; an input without end would take all that the node has. */
const FETCH_MEMORY_BYTES = 2 * 2 ** 30;

type Prefetched = { attributes: SourceAttributes; storePath: string };

function parsePrefetched(text: string): Prefetched | undefined {
  const { locked, storePath } = (parseJson(text) ?? {}) as Record<string, unknown>;
  if (!isSourceAttributes(locked) || typeof storePath !== 'string' || !isStorePath(storePath)) return undefined;
  return { attributes: locked, storePath };
}

/** Nix' own words, for the log. */
function tellAll(stderr: string, progress: Progress): void {
  for (const line of withoutSecrets(stderr).trimEnd().split('\n')) progress.line(line);
}

/** Where a person repairs what is wrong with a source. */
function fieldOf(cause: FetchCause, field: string): string {
  if (cause !== 'Credentials' && cause !== 'HostKey') return field;
  return field === 'spec.source.git' ? `${field}.secretRef` : 'spec.source.inputsSecretRef';
}

/** Fetches the source alone, so that its errors are told apart from those of its inputs. */
async function fetchSource(nix: Nix, reference: string, field: string, context: ContainerContext): Promise<Prefetched> {
  const { progress, signal } = context;
  const shown = withoutSecrets(reference);
  const call = {
    args: ['flake', 'prefetch', '--json', reference],
    doing: `fetching ${shown}`,
    timeoutSeconds: FETCH_SECONDS,
    memoryBytes: FETCH_MEMORY_BYTES,
  };
  const ended = await nix.run(call, { signal });
  if (ended.code !== 0) {
    const words = fetchWords(errorText(ended), shown);
    tellAll(ended.stderr, progress);
    throw new BuildFailure(words.error, { field: fieldOf(words.cause, field), remedy: words.remedy });
  }
  const found = parsePrefetched(ended.stdout);
  if (found === undefined) {
    throw new BuildFailure(`${shown}: nix flake prefetch gave an answer that is not understood`, {
      field,
      remedy: 'use the Nix of the image',
    });
  }
  return found;
}

/** @throws BuildFailure when the source is no flake */
async function needFlake(source: Prefetched, shown: string, field: string): Promise<void> {
  const folder = String(source.attributes['dir'] ?? '');
  const found = await stat(join(source.storePath, folder, 'flake.nix')).catch(() => undefined);
  if (found?.isFile() === true) return;
  throw new BuildFailure(
    `${shown}: there is no flake.nix ${folder === '' ? 'at its root' : `in its folder ${folder}`}`,
    {
      field,
      remedy: 'add one, or say the folder that holds it (spec.source.git.path, or ?dir= in a flake reference)',
    },
  );
}

/** The innermost input that Nix was at when it failed, `nixpkgs` or `home/nixpkgs`. */
export function inputOf(text: string): string | undefined {
  const names = [...text.matchAll(/while (?:updating|fetching) the flake input '([^']+)'/g)].map((match) => match[1]);
  return names.at(-1)?.replace(/^target(?:\/|$)/, '') || undefined;
}

/** What Nix says where a lock of before is all that it may use. */
const LOCK_IS_OLD = /requires lock file changes/;

/** Nix only warns of it, and goes on. @throws BuildFailure */
function refuseUnknown(stderr: string): void {
  const unknown = /has an override for a non-existent input '([^']+)'/.exec(stderr)?.[1];
  if (unknown === undefined) return;
  throw new BuildFailure(`the flake has no input "${unknown}"`, {
    field: `spec.inputs.${unknown}`,
    remedy: 'name an input that flake.nix declares',
  });
}

/** Why the inputs can't be had. */
function inputFailure(stderr: string, text: string, { inputs, lock }: BuildRequest): BuildFailure {
  if (lock !== undefined && LOCK_IS_OLD.test(stderr)) {
    return new BuildFailure('the inputs that the revision was built with do not fit its source any more', {
      field: 'spec.source',
      remedy: 'commit or edit something, so that there is a new revision, which all machines are built for',
    });
  }
  const name = inputOf(text);
  const words = fetchWords(text, name === undefined ? 'inputs of the flake' : `input ${name}`);
  const overridden = name !== undefined && Object.hasOwn(inputs, name);
  const byCause = words.cause === 'Credentials' ? 'spec.source.inputsSecretRef' : 'spec.source';
  return new BuildFailure(words.error, {
    field: overridden ? `spec.inputs.${name}` : byCause,
    remedy: words.remedy,
  });
}

/** Where the files of an inline source lie. */
function inlineFolder(work: string): string {
  return join(work, 'source');
}

/** @throws BuildFailure where an input is a file of this container, which has Secrets and tokens beside it */
function refuseLocal(lock: string, { inputs, source }: BuildRequest, work: string): void {
  const own = source.kind === 'inline' ? inlineFolder(work) : undefined;
  const found = lock === '' ? undefined : localInput(lock, own);
  if (found === undefined) return;
  throw new BuildFailure(`the input ${found.name} is ${found.path}, a path of the build Job itself`, {
    field: Object.hasOwn(inputs, found.name) ? `spec.inputs.${found.name}` : 'spec.source',
    remedy: 'give a path within the repository (path:./folder), or an address that is the same from everywhere',
  });
}

/** What the source's own lock names is looked at before any of it is fetched. @throws BuildFailure */
async function checkLock(source: Prefetched, shown: string, context: ContainerContext): Promise<void> {
  const { request, paths } = context;
  for (const [name, url] of Object.entries(request.inputs)) {
    // A path within the source begins with path:./ and is Nix' own matter.
    if (!isLocalReference(url) || /^path:(?!\/)/i.test(url)) continue;
    throw new BuildFailure(`the input ${name} is ${url}, a path of the build Job itself`, {
      field: `spec.inputs.${name}`,
      remedy: 'give a path within the repository (path:./folder), or an address that is the same from everywhere',
    });
  }
  const lock = await sourceLock(join(source.storePath, String(source.attributes['dir'] ?? '')));
  if (lock === undefined) return;
  const fault = lockFault(lock);
  if (fault !== undefined) {
    throw new BuildFailure(`${shown}: ${fault.message}`, { field: 'spec.source', remedy: fault.remedy });
  }
  refuseLocal(lock, request, paths.work);
}

/** Locks and archives the inputs of the wrapper, hence those of the source; with a lock of before exactly what is in it. */
async function archive(
  nix: Nix,
  folder: string,
  { request, paths, progress, signal }: ContainerContext,
): Promise<void> {
  const flake = `path:${folder}`;
  const steps: [string, readonly string[]][] =
    request.lock === undefined
      ? [
          ['locking the inputs', ['flake', 'lock', flake]],
          ['fetching the inputs', ['flake', 'archive', '--json', flake]],
        ]
      : [['fetching the inputs of the revision', ['flake', 'archive', '--json', '--no-update-lock-file', flake]]];
  if (request.lock !== undefined) refuseLocal(request.lock, request, paths.work);
  for (const [doing, args] of steps) {
    progress.say(doing);
    const ended = await nix.run(
      { args, doing, timeoutSeconds: FETCH_SECONDS, memoryBytes: FETCH_MEMORY_BYTES },
      { signal },
    );
    refuseUnknown(ended.stderr);
    if (ended.code === 0) {
      // Nothing that `lock` fetched is built from: the Job ends here.
      refuseLocal(await readLock(folder), request, paths.work);
      continue;
    }
    tellAll(ended.stderr, progress);
    throw inputFailure(ended.stderr, errorText(ended), request);
  }
}

/** Runs the container `fetch`. @throws BuildFailure */
export async function runFetch(context: ContainerContext): Promise<void> {
  const { request, paths, scratch, progress } = context;
  const startedAt = Date.now();
  const { source } = request;
  const reference = source.kind === 'flake' ? source.ref : undefined;
  const secrets = { source: await readSecret(paths.sourceSecret), inputs: await readSecret(paths.inputsSecret) };
  const credentials = await fetchCredentials(reference, secrets, scratch);
  const nix = await openNix({ ...context, ...credentials, buildFolder: scratch.folder });
  const systems = [...new Set(request.machines.map((machine) => machine.attribute))].map(needAttributeNames);

  const folder = inlineFolder(paths.work);
  if (source.kind === 'inline') await writeInline(folder, source.files);
  const field = source.kind === 'inline' ? 'spec.source.inline.files' : (source.field ?? 'spec.source');
  const shown = reference === undefined ? 'the inline files' : withoutSecrets(reference);
  await needKnownCache(request.cache.substituter, {
    signal: context.signal,
    warn: (message) => progress.line(message),
  });
  progress.say(`fetching ${shown}`);
  const fetched = await fetchSource(nix, reference ?? `path:${folder}`, field, context);
  await needFlake(fetched, shown, field);
  await checkLock(fetched, shown, context);

  const wrapper = join(paths.work, 'eval');
  await writeWrapper(wrapper, {
    source: fetched.attributes,
    inputs: request.inputs,
    modules: request.modules,
    systems,
  });
  if (request.lock !== undefined) await writeLock(wrapper, request.lock);
  await archive(nix, wrapper, context);
  const lock = keptLock(await readLock(wrapper));
  if (lock === undefined) progress.say('the lock of the inputs is not kept: machines that join later lock them anew');
  const locked = withoutSecrets(flakeUrl(fetched.attributes)).slice(0, 2048);
  await writeWork(paths.work, 'locked.json', {
    locked,
    source: fetched.storePath,
    startedAt,
    ...(lock === undefined ? {} : { lock }),
  });
  progress.say(`fetched ${locked}`);
}
