// Verifies, signs and uploads closures; what the cache has already is compared, never replaced.
import { setTimeout as pause } from 'node:timers/promises';
import { narinfoHash } from '@floe/crds/nix-fingerprint';
import { findSigner } from '@floe/crds/nix-key';
import { narinfoFingerprint } from '../nix/narinfo.ts';
import { hashPart } from '../nix/store-path.ts';
import type { CacheReader } from './binary-cache.ts';
import { BuildFailure } from './failure.ts';
import type { ContainerContext } from './fetch.ts';
import { SUBSTITUTER_FIELD } from './known-cache.ts';
import { type LocalPath, localClosure } from './local-closure.ts';
import { errorText, failureText, type Nix } from './nix.ts';
import { uploadFailure } from './upload-words.ts';

export type UploadPorts = {
  readonly nix: Nix;
  readonly reader: CacheReader;
  /** File with the signing key. */
  readonly keyFile: string;
  readonly context: ContainerContext;
};

const VERIFY_SECONDS = 3 * 3600;
const COPY_SECONDS = 6 * 3600;
/** Nix itself can't repeat an upload: the data is gone by then. */
const UPLOAD_TRIES = 5;
const CONCURRENCY = 24;

/** Compression where the URL says none: zstd is five times quicker than Nix' xz and hardly larger. */
export function withCompression(url: string): string {
  const isBinaryCache = /^(?:https?|file|s3):/.test(url);
  if (!isBinaryCache || /[?&]compression=/.test(url)) return url;
  return `${url}${url.includes('?') ? '&' : '?'}compression=zstd`;
}

type Compared = { upload: string[]; resign: string[] };

/**
 * What the cache still needs of one path.
 * @throws BuildFailure when it has it with other content, or only the record of it
 */
async function needed(local: LocalPath, ports: UploadPorts): Promise<'upload' | 'resign' | 'nothing'> {
  const refused = (message: string, remedy: string): BuildFailure =>
    new BuildFailure(message, { field: SUBSTITUTER_FIELD, remedy });
  const found = await ports.reader.narinfo(local.path);
  if (found.kind === 'missing') return 'upload';
  if (found.kind === 'damaged') {
    throw refused(
      `${local.path} in the cache: ${found.message}`,
      'remove this narinfo from the cache, then reconcile again',
    );
  }
  const { info } = found;
  if (info.narHash !== narinfoHash(local.narHash)) {
    throw refused(
      `the cache holds ${local.path} with other content than was built here`,
      'reconcile again: the next build takes what the cache holds; if it happens again this path does not build the same way twice',
    );
  }
  // Nix takes the record for the content, and would upload nothing.
  if (!(await ports.reader.hasNar(info))) {
    throw refused(
      `the cache describes ${local.path} and lacks its file ${info.url}`,
      `delete ${hashPart(local.path)}.narinfo from the cache, then reconcile again`,
    );
  }
  const { publicKey } = ports.context.request.cache;
  return findSigner(narinfoFingerprint(info), info.signatures, [publicKey]) === undefined ? 'resign' : 'nothing';
}

/** Which paths the cache lacks, and which it has without our signature. @throws BuildFailure */
async function compare(paths: readonly LocalPath[], ports: UploadPorts): Promise<Compared> {
  const result: Compared = { upload: [], resign: [] };
  const waiting = [...paths];
  const worker = async (): Promise<void> => {
    for (let local = waiting.pop(); local !== undefined; local = waiting.pop()) {
      const what = await needed(local, ports);
      if (what !== 'nothing') result[what].push(local.path);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return result;
}

/** Hashes the content of paths again. @throws BuildFailure that names what was changed */
async function verify(paths: readonly string[], ports: UploadPorts): Promise<void> {
  const ended = await ports.nix.run(
    {
      args: ['store', 'verify', '--no-trust', '--stdin'],
      input: paths.join('\n'),
      doing: 'hashing what was built',
      timeoutSeconds: VERIFY_SECONDS,
    },
    { signal: ports.context.signal },
  );
  if (ended.code === 0) return;
  const changed = /path '([^']+)' was modified/.exec(errorText(ended))?.[1];
  throw new BuildFailure(
    changed === undefined
      ? `hashing what was built failed: ${failureText(ended)}`
      : `${changed} was changed after it was built`,
    {
      remedy:
        'nothing was signed; a build that changes finished paths runs on this node, see the log of the container build',
    },
  );
}

/** Writes to the cache. What is there already is skipped, so a try after a fault only does the rest. */
async function write(args: readonly string[], named: readonly string[], ports: UploadPorts): Promise<void> {
  const { progress, signal, request } = ports.context;
  for (let attempt = 1; ; attempt++) {
    const ended = await ports.nix.run(
      { args, input: named.join('\n'), doing: 'the upload', timeoutSeconds: COPY_SECONDS },
      { signal },
    );
    if (ended.code === 0) return;
    for (const line of ended.stderr.trimEnd().split('\n')) progress.line(line);
    const { failure, passes } = uploadFailure(errorText(ended), request.cache.url, {
      crashed: ended.endedBy === 'SIGABRT' || ended.endedBy === 'SIGSEGV',
    });
    if (!passes || attempt === UPLOAD_TRIES) throw failure;
    progress.say(`${failure.message}; trying again in ${2 ** attempt} s`);
    await pause(1000 * 2 ** attempt, undefined, { signal });
  }
}

/** Brings all closures into the cache. Roots that the volume does not have lie in the cache already. */
export async function uploadClosures(roots: readonly string[], ports: UploadPorts): Promise<void> {
  const { nix, keyFile, context } = ports;
  const { progress, signal, request } = context;
  const local = await localClosure(nix, roots, signal);
  const { upload, resign } = await compare(local, ports);
  const touched = [...upload, ...resign];
  if (touched.length === 0) {
    progress.say('the cache has every path already');
    return;
  }
  progress.say(`hashing and signing ${touched.length} paths`);
  await verify(touched, ports);
  const input = touched.join('\n');
  await nix.output(
    { args: ['store', 'sign', '-k', keyFile, '--stdin'], input, doing: 'signing', timeoutSeconds: 600 },
    { signal },
  );
  progress.say(`uploading ${upload.length} of ${local.length} paths`);
  const url = withCompression(request.cache.url);
  // Only the missing paths are named, references first by Nix itself; the rest of the closure is there.
  if (upload.length > 0) {
    await write(['copy', '--to', url, '--no-recursive', '--no-check-sigs', '--stdin'], upload, ports);
  }
  if (resign.length > 0) await write(['store', 'sign', '--store', url, '-k', keyFile, '--stdin'], resign, ports);
}
