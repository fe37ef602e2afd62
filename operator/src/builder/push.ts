// The third container: hashes what was built once more, signs it, uploads it, checks it there and reports.
import { readFile } from 'node:fs/promises';
import type { BuildResult } from '@floe/crds/build';
import { type CacheReader, CacheUnreachable, cacheReader } from './binary-cache.ts';
import { cacheAccess } from './cache-access.ts';
import { checkClosures } from './closure.ts';
import { BuildFailure } from './failure.ts';
import type { ContainerContext } from './fetch.ts';
import { SUBSTITUTER_FIELD } from './known-cache.ts';
import { openNix } from './nix.ts';
import { nixCacheReader } from './nix-cache-reader.ts';
import { postReport, report, waitSeconds } from './report.ts';
import { readSigningKey } from './signing-key.ts';
import { uploadClosures } from './upload.ts';
import { readBuilt, readLocked } from './volume.ts';

/** How long the operator may be away. */
const REPORT_SECONDS = 600;

/** Every closure must be whole at the place that machines fetch from. @returns its bytes */
async function needComplete(roots: readonly string[], reader: CacheReader, context: ContainerContext): Promise<number> {
  const { cache } = context.request;
  const check = await checkClosures(roots, reader, cache.publicKey);
  const [problem] = check.problems.values();
  if (problem === undefined) return check.bytes;
  throw new BuildFailure(`after the upload a closure is not complete at ${cache.substituter}: ${problem}`, {
    field: SUBSTITUTER_FIELD,
    remedy: 'check that it serves what is uploaded to --cache-url, then reconcile again',
  });
}

/** Runs the container `push`. @throws BuildFailure */
export async function runPush(context: ContainerContext): Promise<void> {
  const { request, paths, scratch, progress, signal } = context;
  const locked = await readLocked(paths.work);
  const built = await readBuilt(
    paths.work,
    request.machines.map((machine) => machine.name),
  );
  const secretKey = await readSigningKey(paths.signingKey, request.cache.publicKey);
  const access = await cacheAccess(request.cache.url, paths, scratch);
  const nix = await openNix({ ...context, ...access, buildFolder: scratch.folder });
  const roots = [...new Set(Object.values(built.closures))];

  const reader =
    cacheReader(request.cache.substituter, signal) ?? nixCacheReader(nix, request.cache.substituter, signal);
  let bytes = 0;
  try {
    if (roots.length > 0) {
      const keyFile = await scratch.secret('signing-key', secretKey);
      await uploadClosures(roots, { nix, reader, keyFile, context });
      progress.say('checking that every closure is complete in the cache');
      bytes = await needComplete(roots, reader, context);
    }
  } catch (error) {
    if (!(error instanceof CacheUnreachable)) throw error;
    throw new BuildFailure(error.message, {
      field: SUBSTITUTER_FIELD,
      remedy: 'check that the cache runs and that pods of this namespace may connect to it',
      cause: error,
    });
  } finally {
    await reader.close();
  }

  const result: BuildResult = {
    namespace: request.namespace,
    config: request.config,
    revision: request.revision,
    job: request.job,
    locked: locked.locked,
    ...(locked.lock === undefined ? {} : { lock: locked.lock }),
    closures: { ...built.closures },
    failures: { ...built.failures },
    seconds: Math.max(0, Math.round((Date.now() - locked.startedAt) / 100) / 10),
    bytes,
    builtDerivations: built.builtDerivations,
    sandboxed: built.sandboxed,
  };
  const post = postReport(request.reportUrl, {
    ca: request.reportCa,
    token: async () => readFile(paths.reportToken, 'utf8'),
  });
  await report(post, result, {
    signal,
    limitSeconds: REPORT_SECONDS,
    now: Date.now,
    wait: waitSeconds,
    onRetry: (message) => progress.say(message),
  });
  progress.say('the operator has stored the result');
}
